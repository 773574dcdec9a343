//! rsigma-eval: `rsigma RULES.yml LOG.jsonl`. It prints one line of JSON.

use peers::{Engine, measure};
use rsigma_eval::{Engine as Sigma, JsonEvent};

struct Rsigma(Sigma);

impl Engine for Rsigma {
    fn matches(&mut self, record: &str) -> usize {
        let value: serde_json::Value = serde_json::from_str(record).expect("a record is JSON");
        self.0.evaluate(&JsonEvent::borrow(&value)).len()
    }
}

fn main() {
    measure("rsigma-eval 0.23.0", |rules| {
        let collection = rsigma_parser::parse_sigma_yaml(rules).expect("the rules are Sigma");
        assert!(collection.errors.is_empty(), "{:?}", collection.errors.first());
        let mut engine = Sigma::new();
        if std::env::var_os("RSIGMA_AC").is_some() {
            engine.set_cross_rule_ac(true);
        }
        engine.add_collection(&collection).expect("the rules compile");
        (engine.rule_count(), Rsigma(engine))
    });
}
