import EspalierTesting
import Foundation

/// The built command, run as a person would.
enum Command {
  /// Plain lines of 80 columns, whatever the terminal of the tests is.
  static let environment = ["COLUMNS": "80", "ESPALIER_TERMINAL": "0"]

  static func run(
    _ arguments: [String], in directory: String, environment: [String: String] = [:], timeoutSeconds: Double = 60
  ) throws -> ProcessOutcome {
    try ProcessRunner.run(
      ProcessRunner.product("espalier"), arguments, environment: Self.environment.merging(environment) { $1 },
      directory: URL(filePath: directory), timeoutSeconds: timeoutSeconds)
  }

  /// Runs a bash script in which `$espalier` is the command.
  static func script(_ text: String, in directory: String, timeoutSeconds: Double = 60) throws -> ProcessOutcome {
    try ProcessRunner.run(
      "bash", ["-c", text],
      environment: environment.merging(["espalier": try ProcessRunner.product("espalier")]) { $1 },
      directory: URL(filePath: directory), timeoutSeconds: timeoutSeconds)
  }

  static func mpirun(ranks: Int, _ arguments: [String]) throws -> ProcessOutcome {
    try MPIRun.run(ranks: ranks, product: "espalier", arguments, environment: environment)
  }

  /// A decoder so small that a step takes a millisecond; 4 lanes.
  static let recipe = """
    model:     { decoder: { width: 16, depth: 2, heads: 2, context: 16, hidden: 32 } }
    optimizer: { adamw: { rate: 2e-3 } }
    data:      { text: { path: "\(TinyRuns.text)", validation: 1% } }
    batch:     { samples: 8, lanes: 4 }
    schedule:
      - train: { steps: 12, rate: { shape: cosine, warmup: 2 } }
    evaluate:  { every: 0, batch: 8, batches: 2 }
    save:      { every: 6, keep: 3 }
    seed:      5
    """

  /// A fresh folder that holds `tiny.yaml`; removed afterwards.
  static func inFolder<Value>(_ recipe: String = recipe, _ body: (String) throws -> Value) throws -> Value {
    try Runs.inTemporaryDirectory { folder in
      try recipe.write(toFile: folder + "/tiny.yaml", atomically: true, encoding: .utf8)
      return try body(folder)
    }
  }

  /// The last line of `digest`.
  static func total(of run: String, in directory: String) throws -> String {
    try Self.run(["digest", run], in: directory).lines.last ?? ""
  }
}

extension ProcessOutcome {
  /// The lines on standard error that begin with "error: ".
  var errorLines: [String] { errors.split(separator: "\n").map(String.init).filter { $0.hasPrefix("error: ") } }
}
