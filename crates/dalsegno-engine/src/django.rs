//! The site's own Django, asked for what the engine cannot read itself.

use dalsegno_database::fixtures::{Peer, Refusal, Talk};
use dalsegno_format::ErrorKind;
use dalsegno_project::{Helper, HelperOptions, ProjectError};
use serde_json::{Map, Value};

/// Starts a helper for each conversation: what one has open ends with its process.
#[derive(Debug)]
pub(crate) struct DjangoPeer {
    options: HelperOptions,
}

impl DjangoPeer {
    pub(crate) fn new(options: HelperOptions) -> Self {
        Self { options }
    }
}

impl Peer for DjangoPeer {
    fn begin(&self) -> Result<Box<dyn Talk>, Refusal> {
        let helper = Helper::start(self.options.clone()).map_err(refusal)?;
        Ok(Box::new(DjangoTalk(helper)))
    }
}

struct DjangoTalk(Helper);

impl Talk for DjangoTalk {
    fn ask(
        &mut self,
        verb: &str,
        parameters: Map<String, Value>,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Value, Refusal> {
        let answer = self.0.ask(verb, parameters, cancelled).map_err(refusal);
        match answer {
            // A Ctrl-C reaches the helper as it does us, and may end it first.
            Err(Refusal::Failed(_)) if cancelled() => Err(Refusal::Cancelled),
            answer => answer,
        }
    }
}

fn refusal(error: ProjectError) -> Refusal {
    match error {
        error if error.kind() == ErrorKind::Cancelled => Refusal::Cancelled,
        // The words of the conversation are nobody's but ours.
        ProjectError::VerbFailed { message, .. } => Refusal::Failed(message.into()),
        error => Refusal::Failed(error.into()),
    }
}
