//! Settings that are refused.

use super::*;
use crate::Error;
use crate::merge::Rank;

#[test]
fn settings_that_mean_nothing_are_refused() {
    let (_dir, forge) = forge();
    let recipes = recipes(&forge);
    let refused = |settings: RecipeSettings| recipes.method(settings).err().unwrap().to_string();
    assert!(
        refused(RecipeSettings { refit_heads: true, ..settings(Method::Routed) })
            .contains("under one network")
    );
    let blind =
        RecipeSettings { condensed: SearchSets::All(1), ..settings(free(merge::Method::Ties)) };
    assert!(refused(blind).contains("only fusion and mixture"));
    let weighted = Options { weights: vec![1.0], ..Options::new(merge::Method::Ties) };
    assert!(refused(settings(Method::Free(weighted))).contains("come and go"));
    let flat = Options { rank: Rank::AtMost(0), ..Options::new(merge::Method::Ties) };
    assert!(refused(settings(Method::Free(flat))).contains("rank is 0"));
    let endless = FusionSettings {
        level: fusion::Level::Whole,
        finder: fusion::Finder::CmaEs,
        evaluations: 1 << 40,
        seed: 0,
    };
    assert!(refused(settings(Method::Fusion(endless))).contains("evaluations"));
    for unknown in [
        Value::Null,
        serde_json::json!({"method": "routed"}),
        serde_json::json!({"method": {"free": {}}}),
    ] {
        assert!(matches!(recipes.recorded(&unknown), Err(Error::UnknownMethod { .. })));
    }
}
