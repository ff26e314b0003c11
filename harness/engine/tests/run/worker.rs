//! A worker that does as it is told, as a shell script: ten requests every 200 ms, each answered after 5 ms.

use std::{collections::BTreeMap, fs, path::Path};

use base64::{Engine, prelude::BASE64_STANDARD};
use harness_engine::load::WorkerCommand;
use harness_event::{LoadSpec, LoadStart, LoadStep, Millis};
use harness_load::{HISTOGRAM_DIGITS, HISTOGRAM_MAX_US};
use hdrhistogram::{
    Histogram,
    serialization::{Serializer, V2Serializer},
};

/// It dies in a load of this name as soon as it is started.
pub const DYING: &str = "dying";

const SCRIPT: &str = r#"
read -r assignment
name=$(printf %s "$assignment" | sed 's/.*"load":{"name":"\([a-z0-9-]*\)".*/\1/')
wanted=$(printf %s "$assignment" | sed -n 's/.*"requests":\([0-9]*\).*/\1/p')
phase=$(printf %s "$assignment" | sed 's/.*"phase":"\([a-z]*\)"}$/\1/')
orders=DIRECTORY/$name.orders
: >$orders
echo $$ >DIRECTORY/$name.pid
exec 3<&0
(while read -r line; do echo "$line" >>$orders; done <&3) >/dev/null 2>&1 &
now() { date -u +%Y-%m-%dT%H:%M:%S.%3NZ; }
echo '{"message":"hello","protocol":1}'
echo '{"message":"ready"}'
until grep -q start $orders; do sleep 0.02; done
echo "{\"message\":\"started\",\"started_at\":\"$(now)\"}"
test $name = dying && exit 3
number=0
total=0
while :; do
  from=$(now)
  told=$(sed -n 's/.*"phase":"\([a-z]*\)".*/\1/p' $orders | tail -1)
  sleep 0.2
  total=$((total + 10))
  echo "{\"message\":\"frame\",\"number\":$number,\"from\":\"$from\",\"length\":200,\"users\":1,\"behind\":0,\"due\":0,\"begun\":$total,\"entries\":[{\"phase\":\"${told:-$phase}\",\"step\":0,\"statuses\":{\"200\":10},\"errors\":{},\"failed\":0,\"bytes\":0,\"first_start\":\"$from\",\"latencies\":\"TEN\"}]}"
  number=$((number + 1))
  reason=
  grep -q stop $orders && reason=stopped
  test -n "$wanted" && test $total -ge $wanted && reason=requests
  if test -n "$reason"; then
    echo "{\"message\":\"done\",\"reason\":\"$reason\",\"ended_at\":\"$(now)\",\"requests\":$total}"
    exit 0
  fi
done
"#;

/// The worker, with its files in that directory.
pub fn command(directory: &Path) -> WorkerCommand {
    let mut latencies = Histogram::<u64>::new_with_bounds(1, HISTOGRAM_MAX_US, HISTOGRAM_DIGITS).unwrap();
    latencies.record_n(5000, 10).unwrap();
    let mut bytes = Vec::new();
    V2Serializer::new().serialize(&latencies, &mut bytes).unwrap();
    let script = SCRIPT
        .replace("TEN", &BASE64_STANDARD.encode(bytes))
        .replace("DIRECTORY", &directory.display().to_string());
    let path = directory.join("worker.sh");
    fs::write(&path, script).unwrap();
    WorkerCommand { program: "/bin/sh".into(), arguments: vec![path.display().to_string()] }
}

/// True if the worker of a load lives.
pub fn is_alive(directory: &Path, load: &str) -> bool {
    let pid = fs::read_to_string(directory.join(format!("{load}.pid"))).expect("the worker was started");
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

/// A load on that address.
pub fn load(name: &str, start: LoadStart, requests: Option<u64>, url: &str) -> LoadSpec {
    let step = LoadStep {
        name: "page".into(),
        method: "GET".into(),
        url: url.into(),
        headers: BTreeMap::new(),
        body: None,
        extract: vec![],
        status: 200,
        weight: 1,
        think: None,
        timeout: Millis(1000),
    };
    LoadSpec {
        name: name.into(),
        start,
        duration: None,
        users: 1,
        ramp: Millis(0),
        warm_up: Millis(0),
        requests,
        stages: vec![],
        requests_per_connection: None,
        ca_file: None,
        setup: vec![],
        in_order: true,
        steps: vec![step],
    }
}
