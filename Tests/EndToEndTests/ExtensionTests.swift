import EspalierTesting
import Foundation
import Testing

/// The package of `docs/extending.md`, word for word: it compiles against the libraries' public interface, and trains.
///
/// A `swift build` of it would compile all of Espalier a second time. So its program is compiled by itself, as a module of a package
/// of its own, and linked with the objects that are there; `ESPALIER_EXTENSION_BUILD=1` builds the package in full instead.
@Suite struct ExtensionTests {
  static let checkout = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()
  static let buildsInFull = ProcessInfo.processInfo.environment["ESPALIER_EXTENSION_BUILD"] == "1"

  /// The blocks of Swift on the page, by the path that a comment at their top names.
  static func blocks() throws -> [String: String] {
    let page = try String(contentsOf: checkout.appending(path: "docs/extending.md"), encoding: .utf8)
    let blocks = page.components(separatedBy: "```swift\n").dropFirst().map { $0.components(separatedBy: "```")[0] }
    return Dictionary(
      uniqueKeysWithValues: try blocks.map { block in
        let path = try #require(block.firstMatch(of: /(?m)^\/\/ ([\w\/.-]+\.swift)$/), "a block does not name its file")
        return (String(path.1), block)
      })
  }

  /// Writes the page's package into `folder`, beside a link to this checkout.
  private func write(to folder: URL) throws -> URL {
    let package = folder.appending(path: "my-espalier")
    for (path, text) in try Self.blocks() {
      let file = package.appending(path: path)
      try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try text.write(to: file, atomically: true, encoding: .utf8)
    }
    try FileManager.default.createSymbolicLink(
      at: folder.appending(path: "espalier"), withDestinationURL: Self.checkout)
    return package
  }

  /// Compiles the program against the modules beside this test and links it with their objects.
  private func compile(_ package: URL) throws -> String {
    let products = URL(filePath: try ProcessRunner.product("espalier")).deletingLastPathComponent()
    let list = products.appending(path: "espalier.product/Objects.LinkFileList")
    let objects = try String(contentsOf: list, encoding: .utf8).split(separator: "\n")
      .map { $0.trimmingCharacters(in: ["'", "\""]) }.filter { !$0.contains("/espalier.build/") }
    try #require(objects.count > 20, "\(list.path) names \(objects.count) objects")
    let program = package.appending(path: "my-espalier").path
    let arguments = [
      "-swift-version", "6", "-module-name", "my_espalier", "-package-name", "my_espalier", "-warnings-as-errors", "-O",
      "-I", products.appending(path: "Modules").path, package.appending(path: "Sources/my-espalier/main.swift").path,
      "-o", program,
    ]
    let result = try ProcessRunner.run(
      "swiftc", arguments + (try clangModules(products)) + objects + (try packageFlags()) + ["-lm"], timeoutSeconds: 180
    )
    try #require(result.status == 0, "\(result)")
    return program
  }

  /// Where the C modules lie that the libraries' own modules are built on.
  private func clangModules(_ products: URL) throws -> [String] {
    let maps = try FileManager.default.contentsOfDirectory(at: products, includingPropertiesForKeys: nil)
      .map { $0.appending(path: "module.modulemap").path }.filter { FileManager.default.fileExists(atPath: $0) }
    let system = ["COpenBLAS", "COpenMPI", "CZstd", "CXXHash", "CZlib"].map {
      Self.checkout.appending(path: "Sources/\($0)").path
    }
    let yaml = Self.checkout.appending(path: ".build/checkouts/Yams/Sources/CYaml/include").path
    return maps.flatMap { ["-Xcc", "-fmodule-map-file=\($0)"] } + (system + [yaml]).flatMap { ["-I", $0] }
  }

  /// What the system libraries ask of compiler and linker.
  private func packageFlags() throws -> [String] {
    let result = try ProcessRunner.run(
      "pkg-config", ["--cflags", "--libs", "openblas", "ompi-c", "libzstd", "libxxhash"])
    try #require(result.status == 0, "\(result)")
    return result.output.split(whereSeparator: \.isWhitespace).map(String.init).filter { $0 != "-pthread" }
  }

  private func build(_ package: URL) throws -> String {
    let scratch = Self.checkout.appending(path: ".build/extension").path
    let arguments = ["build", "-c", "release", "--package-path", package.path, "--scratch-path", scratch]
    let result = try ProcessRunner.run("swift", arguments, timeoutSeconds: 900)
    try #require(result.status == 0, "\(result)")
    return scratch + "/release/my-espalier"
  }

  @Test("the page's package describes itself to SwiftPM")
  func manifest() throws {
    try Runs.inTemporaryDirectory { directory in
      let package = try write(to: URL(filePath: directory))
      let result = try ProcessRunner.run("swift", ["package", "--package-path", package.path, "dump-package"])
      #expect(result.status == 0 && result.output.contains("\"my-espalier\""), "\(result)")
    }
  }

  @Test("the page's optimizer and model train, and grow by the page's operator, on one rank and on two to one digest")
  func trains() throws {
    try Runs.inTemporaryDirectory { directory in
      let package = try write(to: URL(filePath: directory))
      let program = try Self.buildsInFull ? build(package) : compile(package)
      let recipe = directory + "/recipe.yaml"
      try """
      version:   1
      model:     { bigram: { width: 16, context: 8 } }
      optimizer: { lion: { rate: 1e-3 } }
      data:      { synthetic: { kind: shift, samples: 64, vocabulary: 13, validation: 8 } }
      batch:     { samples: 8, lanes: 4 }
      schedule:
        - train: { steps: 6, until: { fraction: 0.5 } }
        - grow:  { operator: silentUnits, to: { width: 24 } }
        - train: {}
      """.write(toFile: recipe, atomically: true, encoding: .utf8)
      func run(_ arguments: [String]) throws -> ProcessOutcome {
        let result = try ProcessRunner.run(program, arguments)
        try #require(result.status == 0, "\(arguments): \(result)")
        return result
      }
      let digests = try [1, 2].map { ranks in
        let folder = "\(directory)/run\(ranks)"
        _ = try run(["train", recipe, "--run", folder, "--ranks", "\(ranks)", "--set", "stage=\(ranks)"])
        let journal = try String(contentsOfFile: folder + "/metrics.jsonl", encoding: .utf8)
        #expect(journal.components(separatedBy: "\"kind\":\"step\"").count == 7)
        return try run(["digest", folder + "/checkpoints/step-0000000006"]).lines
      }
      #expect(digests[0] == digests[1])
      #expect(digests[0].contains { $0.contains("embed.table/lion.m") })
      // The decoder takes the new optimizer as well, and what ships is still there.
      _ = try run([
        "train", recipe, "--run", directory + "/decoder", "--set",
        "model={ decoder: { width: 16, depth: 1, heads: 2, context: 8 } }",
        "--set", "optimizer={ lion: {} }", "--set", "schedule=[{ train: { steps: 4 } }]",
      ])
      let tasks = try [1, 3].map { ranks in
        let folder = "\(directory)/tasks\(ranks)"
        _ = try run([
          "train", recipe, "--run", folder, "--ranks", "\(ranks)", "--set", "model={ mlp: { width: 8 } }", "--set",
          "data={ synthetic: { kind: classes, classes: 4, features: 6, samples: 64, validation: 40 } }", "--set",
          "tasks={ setting: class, perTask: 2 }", "--set", "methods=[ leash ]", "--set",
          "schedule=[{ task: { steps: 3 } }]",
        ])
        return try run(["digest", folder + "/checkpoints/step-0000000006"]).lines
      }
      #expect(tasks[0] == tasks[1] && tasks[0].contains { $0.contains("leash.anchor") })
      #expect(try run(["list", "growth"]).output.contains("silentUnits"))
      #expect(try run(["describe", "lion"]).output.contains("arXiv:2302.06675"))
    }
  }
}
