import EspalierNN
import EspalierTensor
import EspalierTrain
import Foundation
import Testing

/// The files that ship beside the sources.
@Suite struct ShippedFilesTests {
  private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  static func files(_ folder: String) -> [String] {
    let path = root.appending(path: folder).path
    return ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).filter { $0.hasSuffix(".yaml") }
      .sorted()
      .map { path + "/" + $0 }
  }

  @Test("every recipe loads, begins by saying what it shows, and plans its steps", arguments: files("launch/recipes"))
  func recipes(path: String) throws {
    let text = try String(contentsOfFile: path, encoding: .utf8)
    #expect(text.hasPrefix("# "))
    // Models and optimizers are checked where they live.
    let run = try RunSettings(recipe: SettingsFile(path: path), choices: ["data": DataCatalogue.standard])
    #expect(try Schedule(run, stepsPerEpoch: 10).stepCount > 0)
    #expect(run.batch.lanes > 0)
  }

  @Test("the four recipes and three clusters are there")
  func names() {
    func names(_ folder: String) -> [String] { Self.files(folder).map { URL(filePath: $0).lastPathComponent } }
    #expect(
      Set(names("launch/recipes")).isSuperset(of: [
        "first.yaml", "mlp-synthetic.yaml", "quickstart.yaml", "zero3-recompute.yaml",
      ]))
    #expect(Set(names("cluster-configs")).isSuperset(of: ["ethernet-4x2.yaml", "laptop.yaml", "workstation.yaml"]))
  }

  @Test("every cluster file loads", arguments: files("cluster-configs"))
  func clusters(path: String) throws {
    #expect(try SettingsFile(path: path).load(ClusterSettings.self).rankCount > 1)
  }

  @Test("the README of the cluster files has every field with its unit and default")
  func readme() throws {
    let text = try String(contentsOf: Self.root.appending(path: "cluster-configs/README.md"), encoding: .utf8)
    for row in try SettingsTable(of: ClusterSettings.self).rows {
      let line = "| `\(row.key)` | \(row.unit.replacing("|", with: "\\|")) | `\(row.standard)` | \(row.meaning) |"
      #expect(text.contains(line), "\(line)")
    }
  }

  @Test("the shipped text opens, and its data can be told again")
  func text() throws {
    let path = Self.root.appending(path: "launch/data/pride-and-prejudice.txt").path
    let splits = try TextSettings(path: path).open(context: 128)
    let validation = try #require(splits.validation)
    #expect((240...260).contains(validation.sampleCount))
    #expect((5085...5100).contains(splits.training.sampleCount))
    #expect(try TextSettings(path: path).open(context: 128).contentHash == splits.contentHash)
    let letters = try splits.training.batch(of: [0]).targets.values
    #expect(letters.allSatisfy { $0 > 0 && $0 < 256 })
  }
}
