//! Replays what the fuzz target `wire` keeps, through the same checks.

#[path = "../../fuzz/bodies/folder.rs"]
mod folder;
#[path = "../../fuzz/bodies/wire.rs"]
mod wire;

#[test]
fn inputs_of_the_wire_are_believed_or_refused() {
    let inputs = folder::inputs("wire");
    let believed = inputs.iter().filter(|input| wire::check(input)).count();
    assert!(believed >= 10 && believed < inputs.len(), "{believed} of {} were believed", inputs.len());
}
