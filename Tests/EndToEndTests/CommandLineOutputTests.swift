import EspalierMethods
import EspalierNN
import EspalierTesting
import EspalierTrain
import Foundation
import Testing

/// What the commands print, for people and for programs.
@Suite struct CommandLineOutputTests {
  /// One run that all tests read.
  static let folder = Result {
    let folder = FileManager.default.temporaryDirectory.appending(path: "espalier-output-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try Command.recipe.write(toFile: folder + "/tiny.yaml", atomically: true, encoding: .utf8)
    let outcome = try Command.run(["train", "tiny.yaml", "--ranks", "2"], in: folder)
    guard outcome.status == 0 else { throw BrokenLaw("the run failed: \(outcome)") }
    return folder
  }

  private func json(_ arguments: [String]) throws -> Any {
    let outcome = try Command.run(arguments + ["--json"], in: Self.folder.get())
    #expect(outcome.status == 0, "\(outcome)")
    return try JSONSerialization.jsonObject(with: Data(outcome.output.utf8))
  }

  private func object(_ arguments: [String]) throws -> [String: Any] {
    try #require(try json(arguments) as? [String: Any])
  }

  private func text(_ arguments: [String]) throws -> String {
    let outcome = try Command.run(arguments, in: Self.folder.get())
    #expect(outcome.status == 0, "\(outcome)")
    return outcome.output
  }

  // 256·16 embedding; 2 blocks of 16 + 48·16 + 16·16 + 16 + 64·16 + 16·32; 16 + 256·16 head.
  static let parameters = 4096 + 2 * (16 + 768 + 256 + 16 + 1024 + 512) + 16 + 4096

  @Test("digest prints a line for each slot and last the total, which is what inspect says")
  func digest() throws {
    let lines = try text(["digest", "runs/tiny"]).split(separator: "\n").map { $0.split(separator: " ") }
    // 15 parameters with a value and two moments each.
    #expect(lines.count == 3 * 15 + 1 && lines.allSatisfy { $0.count == 2 && $0[1].count == 32 }, "\(lines)")
    #expect(lines.first?[0] == "embed.table/value" && lines.last?[0] == "total")
    let report = try object(["digest", "runs/tiny"])
    #expect(report["total"] as? String == lines.last.map { String($0[1]) })
    #expect(try object(["inspect", "runs/tiny"])["digest"] as? String == report["total"] as? String)
  }

  @Test("inspect knows step, world, sizes, history and settings")
  func inspect() throws {
    let report = try object(["inspect", "runs/tiny/checkpoints/step-0000000006"])
    #expect(report["step"] as? Int == 6 && report["parameters"] as? Int == Self.parameters)
    #expect(report["rawBytes"] as? Int == 12 * Self.parameters)
    #expect((report["world"] as? [String: Any])?["ranks"] as? Int == 2)
    #expect((report["lineage"] as? [Any])?.count == 1)
    #expect((report["settings"] as? [String: Any])?["seed"] as? Int == 5)
    let end = try text(["inspect", "runs/tiny"])
    #expect(
      end.contains("border        end of phase 0 (train)") && end.contains(/validation    loss [0-9.]+ after step 12/))
    #expect(try text(["inspect", "runs/tiny"]).contains("world         2 ranks on 1 host (in-process, ZeRO 1)"))
  }

  @Test("plan tells bytes by slot, traffic and the ranks that suit")
  func plan() throws {
    let report = try object(["plan", "tiny.yaml", "--ranks", "2", "--stage", "1"])
    #expect(
      report["parameters"] as? Int == Self.parameters && report["checkpointBytes"] as? Int == 12 * Self.parameters)
    #expect(report["evenRanks"] as? [Int] == [1, 2, 4] && report["partialSums"] as? Int == 2)
    let ranks = try #require(report["byRank"] as? [[String: Any]])
    let moments = ranks.compactMap { ($0["bytesBySlot"] as? [String: Int])?["adamw.m"] }
    #expect(ranks.count == 2 && moments.reduce(0, +) == 4 * Self.parameters, "\(moments)")
    #expect((report["advice"] as? [String])?.isEmpty == true)

    let uneven = try text(["plan", "tiny.yaml", "--ranks", "3"])
    #expect(uneven.contains("1, 2, 4 ranks share them evenly"), "\(uneven)")
    let sharded = try object(["plan", "tiny.yaml", "--ranks", "2", "--stage", "3"])
    #expect(sharded["gradientTrafficFactor"] as? Double == 2)
    #expect((sharded["advice"] as? [String])?.first?.contains("batch: { lanes: 2 }") == true)
  }

  @Test("evaluate gives the figures that training gave, on any ranks")
  func evaluate() throws {
    let metrics = try String(contentsOfFile: Self.folder.get() + "/runs/tiny/metrics.jsonl", encoding: .utf8)
    let line = try #require(metrics.split(separator: "\n").last { $0.contains("\"evaluation\"") })
    let trained = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
    for ranks in ["1", "3"] {
      let report = try object(["evaluate", "runs/tiny", "--ranks", ranks])
      for key in ["loss", "bitsPerByte", "accuracy"] {
        #expect(report[key] as? Double == trained[key] as? Double, "\(key) on \(ranks) ranks")
      }
    }
    let all = try object(["evaluate", "runs/tiny", "--set", "evaluate.batches=0"])
    #expect((all["targets"] as? Int ?? 0) > (trained["targets"] as? Int ?? 0))
  }

  @Test("sample repeats itself, begins with the prompt, and needs no data")
  func sample() throws {
    let arguments = ["sample", "runs/tiny", "--prompt", "It is a truth", "--tokens", "20"]
    let first = try text(arguments), again = try text(arguments)
    #expect(first.hasPrefix("It is a truth") && first == again)
    #expect(try text(arguments + ["--seed", "2"]) != first)
    let coldest = arguments + ["--temperature", "0"]
    let cold = try text(coldest + ["--seed", "1"]), other = try text(coldest + ["--seed", "2"])
    #expect(cold == other)
    #expect(try text(["sample", "runs/tiny", "--prompt", "abc", "--tokens", "0"]) == "abc\n")
  }

  @Test("list and describe know the whole catalogue")
  func shelf() throws {
    let shelf = try object(["list"])
    for (key, names) in [
      "models": Catalogue.standard.models.map { $0.name }, "optimizers": ["adamw", "muon", "sgd"],
      "data": ["images", "synthetic", "text"],
    ] {
      let listed = (shelf[key] as? [[String: String]] ?? []).compactMap { $0["name"] }
      #expect(listed == names.sorted(), "\(key)")
      for name in names {
        let described = try #require(try json(["describe", name]) as? [[String: Any]])
        #expect((described.first?["options"] as? [Any])?.isEmpty == false, "\(name)")
        #expect((described.first?["summary"] as? String)?.isEmpty == false, "\(name)")
      }
    }
    #expect(try object(["list", "models"]).keys.sorted() == ["models"])
  }

  @Test("describe explains every key of a recipe", arguments: RunSettings.fields.map(\.key))
  func sections(_ key: String) throws {
    #expect(try text(["describe", key]).contains("  \(key)"))
  }

  @Test("describe says default, unit and meaning")
  func describe() throws {
    let text = try text(["describe", "adamw"])
    #expect(text.contains("arXiv:1711.05101"))
    #expect(text.contains("  decay = 0.1  [1/rate]\n      Decoupled weight decay"))
  }

  @Test("the recipe of init loads to the model's defaults and passes check", arguments: ["decoder", "mlp"])
  func initialRecipe(_ model: String) throws {
    let folder = try Self.folder.get()
    let file = folder + "/init-\(model).yaml"
    #expect(try Command.run(["init", file, "--model", model], in: folder).status == 0)
    let printed = try Command.run(["init", "--model", model], in: folder)
    #expect(try String(contentsOfFile: file, encoding: .utf8) == printed.output)

    let loaded = try RunSettings(recipe: SettingsFile(path: file), choices: Catalogue.standard.choices)
    let plain = try RunSettings(
      recipe: SettingsFile(text: "model: \(model)", name: "plain"), choices: Catalogue.standard.choices)
    #expect(loaded.model == plain.model && loaded.optimizer == plain.optimizer && loaded.batch == plain.batch)

    let repository = URL(filePath: TinyRuns.text).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().path
    let checked = try Command.run(["check", file], in: repository)
    #expect(checked.status == 0 && checked.output.contains("steps          400"), "\(checked)")
  }

  @Test("data shows counts and the first samples of a recipe and of a text")
  func data() throws {
    let sets = try #require(try json(["data", "tiny.yaml", "--samples", "1"]) as? [[String: Any]])
    #expect(sets.map { $0["name"] as? String } == ["training", "validation"])
    let sample = (sets[0]["samples"] as? [[String: Any]])?.first
    #expect(sample?["inputs"] as? String == "PRIDE AND PREJUD" && sample?["targets"] as? String == "RIDE AND PREJUDI")
    #expect(try text(["data", TinyRuns.text]).contains("samples of 256"))
    #expect(
      try text(["data", "tiny.yaml", "--set", "data={ synthetic: { kind: copy } }", "--samples", "1"]).contains(
        "targets"))
  }

  @Test("data shows what a folder of images holds, and the tasks of a recipe")
  func imageData() throws {
    let images = URL(filePath: TinyRuns.text).deletingLastPathComponent().path + "/fashion-mini"
    let shown = try text(["data", images, "--samples", "1"])
    #expect(shown.contains("5000 images of 28 x 28 (IDX), 10 classes"))
    #expect(shown.contains("classes   10, of 500 samples each\nshape     1 x 28 x 28\n"))
    #expect(shown.contains("pixels    mean 0.28735, deviation 0.35438 of 0 to 1\n"))
    #expect(shown.contains("sample 0, class 9\n"))
    let overrides = [
      "--set", "data={ images: { path: \(images) } }", "--set", "tasks={ setting: class, perTask: 5, heldOut: 10% }",
    ]
    let tasks = try text(["data", "tiny.yaml", "--samples", "0"] + overrides)
    #expect(
      tasks.hasSuffix(
        """
        task  classes  rows  training  held out  test
        0     0–4      0–4   2250      250       500
        1     5–9      5–9   2250      250       500

        """))
    let sets = try #require(try json(["data", "tiny.yaml", "--samples", "0"] + overrides) as? [[String: Any]])
    #expect(sets.count == 2 + 2 * 3 && sets[3]["name"] as? String == "task 0, held out")
    #expect(sets[3]["samplesOfClass"] as? [Int] == [50, 50, 50, 50, 50, 0, 0, 0, 0, 0])
  }

  @Test("verify names every checkpoint of a run")
  func verify() throws {
    #expect(
      try text(["verify", "runs/tiny", "--full"]) == """
        runs/tiny/checkpoints/step-0000000006: whole
        runs/tiny/checkpoints/step-0000000012: whole

        """)
  }

  @Test("the same document has the same text: keys are sorted")
  func sorted() throws {
    let output = try text(["plan", "tiny.yaml", "--json"])
    let keys = output.split(separator: "\n").filter { $0.hasPrefix("  \"") }.compactMap {
      $0.split(separator: "\"").dropFirst().first
    }
    #expect(keys.count > 10 && keys == keys.sorted())
  }
}
