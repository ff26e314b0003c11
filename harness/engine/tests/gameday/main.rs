//! Game days on an API server in this process, with a stand-in for the controllers. Monitoring is not there unless a test says so.

mod faults;
mod fixture;
mod loads;
#[path = "../run/worker.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod worker;
