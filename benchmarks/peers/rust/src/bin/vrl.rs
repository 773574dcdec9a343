//! VRL, the language of Vector: `vrl RULES.txt LOG.jsonl`, one expression a line, each a program. It prints one line of JSON.

use peers::{Engine, measure};
use vrl::compiler::{Context, Program, TargetValue, TimeZone, compile, state::RuntimeState};
use vrl::value::{Secrets, Value};

struct Vrl {
    programs: Vec<Program>,
    zone: TimeZone,
}

impl Engine for Vrl {
    fn matches(&mut self, record: &str) -> usize {
        let value: serde_json::Value = serde_json::from_str(record).expect("a record is JSON");
        let mut target = TargetValue { value: value.into(), metadata: Value::Object(Default::default()), secrets: Secrets::default() };
        let mut state = RuntimeState::default();
        let mut context = Context::new(&mut target, &mut state, &self.zone);
        self.programs.iter().filter(|p| p.resolve(&mut context) == Ok(Value::Boolean(true))).count()
    }
}

fn main() {
    measure("VRL 0.38.0", |rules| {
        let functions = vrl::stdlib::all();
        let programs: Vec<Program> = rules
            .lines()
            .map(|text| compile(text, &functions).unwrap_or_else(|e| panic!("{text}: {e:?}")).program)
            .collect();
        (programs.len(), Vrl { programs, zone: TimeZone::default() })
    });
}
