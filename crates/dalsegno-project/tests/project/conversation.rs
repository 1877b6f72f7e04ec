//! One conversation with the helper, past an error and after its end.

use std::time::Duration;

use crate::site::{Site, python};
use dalsegno_project::{Helper, HelperOptions, ProjectError};
use serde_json::Map;

fn helper(site: &Site) -> Helper {
    let options = HelperOptions {
        interpreter: python(),
        manage_py: site.path().join("manage.py"),
        settings_module: None,
        timeout: Duration::from_secs(30),
    };
    Helper::start(options).unwrap()
}

#[test]
fn a_conversation_goes_on_after_an_error() {
    let site = Site::new("");
    let mut helper = helper(&site);
    assert!(helper.hello().django.is_some());
    let error = helper.request("conjure", Map::new()).unwrap_err();
    let ProjectError::VerbFailed { reason, message, .. } = &error else { panic!("{error:?}") };
    assert_eq!(&**reason, "unknown_verb");
    assert_eq!(message, "this helper knows no verb `conjure`");
    for _ in 0..2 {
        let answer = helper.request("describe", Map::new()).unwrap();
        assert_eq!(answer["project"]["name"], "shopsite");
    }
}

#[test]
fn a_helper_that_fails_stays_failed() {
    let site = Site::new("1 / 0");
    let mut helper = helper(&site);
    for _ in 0..2 {
        let error = helper.request("describe", Map::new()).unwrap_err();
        assert!(matches!(error, ProjectError::Settings { .. }), "{error:?}");
    }
}
