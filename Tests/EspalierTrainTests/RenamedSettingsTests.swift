import EspalierNN
import EspalierTrain
import Testing

/// Settings of which some keys had other names before.
private struct Files: RenamedSettings {
  var keep = 3
  var every = 10
  init() {}
  static let fields = [SettingField("keep", "How many."), SettingField("every", "How often.")]
  static let renamed = [
    RenamedSetting("keepLast", to: "keep", since: 1), RenamedSetting("period", to: "every", since: 0),
  ]
}

private struct Recipe: RenamedSettings {
  var version = 1
  var save = Files()
  var model = Choice("decoder")
  init() {}
  static let fields = [
    SettingField("version", "Version."), SettingField("save", "Files."), SettingField("model", "Model."),
  ]
  static let renamed = [
    RenamedSetting("checkpoints.every", to: "save.every", since: 1), RenamedSetting("network", to: "model", since: 1),
  ]
}

@Suite struct RenamedSettingsTests {
  private func load(_ yaml: String, _ overrides: [String] = []) throws -> (Recipe, [String]) {
    var notes: [String] = []
    let recipe = try SettingsFile(text: yaml, name: "recipe").load(
      Recipe.self, overrides: overrides, choices: ["model": ["decoder": SampleModel.self]]
    ) { notes.append($0) }
    return (recipe, notes)
  }

  private func refusal(_ yaml: String, _ overrides: [String] = []) -> String {
    do { return "\(try load(yaml, overrides))" } catch { return "\(error)" }
  }

  @Test("an old key is taken as the new one, with one note that names line and both names")
  func oldKeys() throws {
    let (recipe, notes) = try load("version: 1\nsave:\n  keepLast: 7\n")
    #expect(recipe.save.keep == 7)
    #expect(notes == ["recipe line 3: 'save.keepLast' is now 'save.keep'; the old name is read until version 2"])
  }

  @Test("a key may move to another mapping, and a whole choice may be renamed")
  func moves() throws {
    let (recipe, notes) = try load("checkpoints:\n  every: 5\nnetwork: { decoder: { width: 64 } }\n")
    #expect(recipe.save.every == 5 && recipe.save.keep == 3)
    #expect(recipe.model.options["width"] == .integer(64))
    #expect(notes.count == 2 && notes[0].hasPrefix("recipe line 2: 'checkpoints.every' is now 'save.every'"))
  }

  @Test("--set takes the old key too, and stands above the file under either name")
  func overrides() throws {
    for (yaml, text) in [
      ("save: { keep: 2 }", "save.keepLast=9"), ("save: { keepLast: 2 }", "save.keep=9"),
      ("save: { keepLast: 2 }", "save.keepLast=9"), ("{}", "save={ keepLast: 9 }"),
    ] {
      let (recipe, notes) = try load(yaml, [text])
      #expect(recipe.save.keep == 9, "\(yaml) \(text)")
      #expect(notes.count == 1, "\(yaml) \(text): \(notes)")
    }
    let (_, notes) = try load("{}", ["save.keepLast=9"])
    #expect(
      notes == ["--set save.keepLast=9: 'save.keepLast' is now 'save.keep'; the old name is read until version 2"])
  }

  @Test("both names in one place are an error that names both")
  func both() {
    #expect(
      refusal("save:\n  keep: 1\n  keepLast: 2\n")
        == "recipe line 3: 'save.keepLast' is now 'save.keep', which is given as well (recipe line 2); "
        + "keep 'save.keep' alone")
    #expect(refusal("{}", ["save.keep=1", "save.keepLast=2"]).contains("given as well (--set save.keep=1)"))
  }

  @Test("one version later the old key is refused, and the new one named")
  func tooOld() {
    #expect(
      refusal("save:\n  period: 2\n")
        == "recipe line 2: unknown key 'save.period'; since version 0 of the recipe's language it is 'save.every'")
  }

  @Test("a value of the wrong kind is told of under the new name, where it stands")
  func wrongValue() {
    let text = refusal("save:\n  keepLast: many\n")
    #expect(text.hasPrefix("recipe line 2: save.keep must be") && text.contains("'many'"), "\(text)")
  }

  @Test("a recipe without a version is one of today's, a newer one is refused, and none is older than 1")
  func versions() throws {
    #expect(try load("save: { keep: 4 }").0.version == 1)
    #expect(try load("save: { keep: 4 }").1 == [])
    #expect(
      refusal("version: 2\nsave: { keep: 4 }")
        == "recipe line 1: version 2 is newer than version 1, the newest that this espalier reads; update espalier")
    #expect(refusal("version: 0").contains("must be a positive"))
  }
}
