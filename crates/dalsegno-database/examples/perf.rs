#![allow(missing_docs, clippy::all, clippy::pedantic, clippy::print_stdout, clippy::unwrap_used)]
use std::io::{Read, Write};
use std::time::{Duration, Instant};
use dalsegno_database::{sqlite::{self, *}, *};
use sha2::Digest;
struct Out(bool);
impl FileSink for Out {
    fn file(&mut self, _: &str, _: u64, data: &mut dyn Read) -> std::result::Result<[u8; 32], Box<dyn std::error::Error + Send + Sync>> {
        let mut h = sha2::Sha256::new();
        let mut f = std::fs::File::create("/tmp/dbperf/out").unwrap();
        let mut b = vec![0; 1 << 20];
        loop { let n = data.read(&mut b)?; if n == 0 { break } if self.0 { h.update(&b[..n]); f.write_all(&b[..n])?; } }
        Ok(h.finalize().into())
    }
}
fn rss() -> String { std::fs::read_to_string("/proc/self/status").unwrap().lines().find(|l| l.starts_with("VmHWM")).unwrap().to_owned() }
fn main() {
    let live = std::path::PathBuf::from("/tmp/dbperf/db");
    let w = Duration::from_secs(5);
    let o = CaptureOptions { busy_timeout: w, spool_dir: "/tmp/dbperf/spool".into(), exclude_rows_of: vec![] };
    for mode in ["delete", "wal"] {
        let c = rusqlite::Connection::open(&live).unwrap(); c.pragma_update(None, "journal_mode", mode).unwrap(); drop(c);
        for write in [false, true] {
            let t = Instant::now();
            let mut s = sqlite::capture(&Location::new(&live), &o, &mut Quiet).unwrap();
            let a = t.elapsed();
            s.write(&mut Out(write), &mut Quiet).unwrap();
            println!("{mode} write={write} open {a:?} all {:?} {}", t.elapsed(), rss());
        }
        let t = Instant::now();
        let n = sqlite::table_counts(Source::Live(&live, w), &mut Quiet).unwrap();
        println!("counts {} {:?}", n.len(), t.elapsed());
        let c = rusqlite::Connection::open(&live).unwrap(); c.execute_batch("delete from shop_orderline where id % 1000 = 0").unwrap_or_else(|e| println!("{e}")); drop(c);
        let t = Instant::now();
        let size = std::fs::metadata("/tmp/dbperf/out").unwrap().len();
        let s = Target::new(&live, "r").unwrap().stage(&mut std::fs::File::open("/tmp/dbperf/out").unwrap(), size, &mut Quiet).unwrap();
        println!("stage {:?} {}", t.elapsed(), rss());
        let t = Instant::now();
        let r = s.check(&CheckOptions { expected_counts: &n, full: false }, &mut Quiet).unwrap();
        println!("check {:?} {} {}", t.elapsed(), r.problems.len(), rss());
        let t = Instant::now();
        let sw = s.switch(SwitchOptions { busy_timeout: w }, &mut Quiet).unwrap();
        println!("switch {} pages {:?} {}", sw.pages_changed, t.elapsed(), rss());
        let t = Instant::now();
        let rb = sqlite::rollback(&sw, RollbackOptions { busy_timeout: w, force: false }, &mut Quiet).unwrap();
        println!("rollback {} pages {:?} {}", rb.pages_changed, t.elapsed(), rss());
    }
    let t = Instant::now();
    sqlite::table_hashes(Source::Private(&live), &mut Quiet).unwrap();
    println!("hashes {:?}", t.elapsed());
}
