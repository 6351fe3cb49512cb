import ArgumentParser
import EspalierMethods
import EspalierNN
import EspalierTensor
import EspalierTrain
import Foundation

struct DataCommand: CatalogueCommand {
  static let configuration = CommandConfiguration(
    commandName: "data",
    abstract: "Shows data: counts, bytes, first samples.",
    discussion: """
      A recipe (*.yaml) shows its data as its model reads them. Any other path is opened as text: a file, a folder or a quoted pattern, \
      plain or zstd.
      """)

  @Argument(help: ArgumentHelp("A text, or a recipe.", valueName: "path-or-recipe")) var path: String
  @OptionGroup var overrides: OverrideOptions
  @Option(help: ArgumentHelp("How many samples to show.", valueName: "n")) var samples = 3
  @Flag(help: "Print JSON.") var json = false

  func validate() throws {
    guard samples >= 0 else { throw ValidationError("--samples must be 0 or more, not \(samples).") }
  }

  func run(_ context: CommandContext) throws -> Int32 {
    let splits = try open(context.catalogue)
    let reports = [("training", splits.training)] + (splits.validation.map { [("validation", $0)] } ?? [])
    let sets = try reports.map { try DataReport(name: $0.0, $0.1, samples: samples) }
    if json {
      try Output.json(sets)
    } else {
      Output.write(sets.map(\.text).joined(separator: "\n"))
    }
    return 0
  }

  private func open(_ catalogue: Catalogue) throws -> DataSplits {
    guard path.hasSuffix(".yaml") || path.hasSuffix(".yml") else {
      let settings = try RunSettings(
        recipe: SettingsFile(text: "{}", name: "data"),
        overrides: ["data.text.path=\(SettingValue.text(path).recipeText)"] + overrides.list, choices: catalogue.choices
      )
      return try DataCatalogue.open(settings.data, context: catalogue.context(settings.model))
    }
    let settings = try RunSettings(
      recipe: SettingsFile(path: path), overrides: overrides.list, choices: catalogue.choices,
      note: FailureReport.warnOnce)
    return try DataCatalogue.open(settings.data, context: catalogue.context(settings.model))
  }
}

/// One data set as it is.
struct DataReport: Encodable {
  struct Sample: Encodable {
    let index: Int
    /// Inputs as text, tokens or numbers.
    let inputs: String
    let targets: String
  }

  let name: String
  let description: String
  let sampleCount: Int
  let bytesPerSample: Int
  let classCount: Int
  let isText: Bool
  let contentHash: String
  let samples: [Sample]

  init(name: String, _ data: any Dataset, samples count: Int) throws {
    self.name = name
    description = data.description
    sampleCount = data.sampleCount
    bytesPerSample = data.bytesPerSample
    classCount = data.classCount
    isText = data.targetsAreBytes
    let digits = String(data.contentHash, radix: 16)
    contentHash = String(repeating: "0", count: 16 - digits.count) + digits
    samples = try (0..<min(count, data.sampleCount)).map { index in
      let batch = try data.batch(of: [UInt64(index)])
      return Sample(
        index: index, inputs: Self.inputs(batch.inputs, asText: data.targetsAreBytes),
        targets: data.targetsAreBytes
          ? Self.text(batch.targets.values) : Self.list(batch.targets.values.map(String.init)))
    }
  }

  var text: String {
    var text = TextTable.pairs([
      (name, description),
      ("samples", "\(Amount.grouped(sampleCount)) of \(Amount.count(bytesPerSample, "byte")) in a batch"),
      ("classes", "\(classCount)"), ("hash", contentHash),
    ])
    for sample in samples {
      // Of text the targets are the inputs, one byte on.
      text += "sample \(sample.index)\n  inputs   \(isText ? sample.inputs.debugDescription : sample.inputs)\n"
      if !isText { text += "  targets  \(sample.targets)\n" }
    }
    return text
  }

  private static func inputs(_ inputs: Batch.Inputs, asText: Bool) -> String {
    switch inputs {
    case .tokens(let tokens): asText ? text(tokens.values) : list(tokens.values.map(String.init))
    case .features(let values, _): list(values.map { Amount.fixed(Double($0), 3) })
    }
  }

  private static func text(_ bytes: [Int32]) -> String {
    String(decoding: bytes.map { UInt8(truncatingIfNeeded: $0) }, as: UTF8.self)
  }

  private static func list(_ words: [String]) -> String {
    words.prefix(16).joined(separator: " ") + (words.count > 16 ? " … (\(words.count))" : "")
  }
}
