package import EspalierComm
package import EspalierMethods
import EspalierNN
package import EspalierState
import EspalierTensor
import Foundation

/// What a language model is asked to write: bytes drawn one after the other from its odds.
///
/// Byte n is drawn with the n-th number of a stream keyed by the seed, so the text depends on weights, prompt, temperature and seed
/// alone. The model sees at most its context: the last bytes before the one that is drawn.
package struct Sampling: Sendable {
  package var prompt: [UInt8]
  /// Bytes to write.
  package var count: Int
  /// What logits are divided by; 0 takes the likeliest byte, of equals the lowest.
  package var temperature: Double
  package var seed: UInt64

  /// - Precondition: count and temperature are not negative.
  package init(prompt: [UInt8], count: Int, temperature: Double = 1, seed: UInt64 = 1) {
    precondition(count >= 0 && temperature >= 0, "\(count) bytes at a temperature of \(temperature)")
    self.prompt = prompt
    self.count = count
    self.temperature = temperature
    self.seed = seed
  }

  /// Loads the weights of a checkpoint and writes. The data of the run are not opened.
  ///
  /// For a world of one: nothing is shared out.
  /// - Returns: the bytes after the prompt.
  /// - Throws: `RunError` for a model of anything but bytes of text, `RelayoutError`, `CheckpointError`.
  package func run(
    _ checkpoint: CheckpointReader, _ settings: RunSettings, _ catalogue: Catalogue, _ communicator: Communicator
  ) throws -> [UInt8] {
    precondition(communicator.size == 1, "a text is written by one rank, not \(communicator.size)")
    guard settings.data.name == "text" else {
      throw RunError(
        .wrongModel, subject: checkpoint.path,
        reason: "the model learned from '\(settings.data.name)' data and writes no bytes of text",
        remedy: "choose a checkpoint of a run on text")
    }
    let grown = try TrainingState(from: checkpoint).model(in: settings)
    let model = try catalogue.resolve(grown.choice, for: DataDescription(classes: 256))
    let built = Scope.build(constants: grown.constants.values) { model.make($0) }
    let store = Store(
      built, slots: [], options: Store.Options(stage: .none, lanes: 1),
      communicator: communicator)
    try Relayout(from: checkpoint).read(into: store, slots: [.value])
    try store.share()

    let pool = Pool()
    let context = max(try catalogue.context(grown.choice), 1)
    return try write(context: context) { window in
      let tokens = Indices(window.map { Int32($0) }, shape: [1, window.count])
      // Nothing is asked of the batch's targets.
      let batch = Batch(inputs: .tokens(tokens), targets: tokens, samples: [0])
      let logits = built.model.logits(batch, on: Tape(pool: pool, mode: .inference, samples: [0]))
      let last = logits.pointer + (logits.shape.rows - 1) * logits.shape.columns
      let odds = Array(UnsafeBufferPointer(start: last, count: min(256, logits.shape.columns)))
      withExtendedLifetime(logits) {}
      try store.endPass(recording: false)
      return odds
    }
  }

  /// Writes with the logits that `odds` gives for the byte after a window of at least one byte.
  package func write(context: Int, _ odds: (ArraySlice<UInt8>) throws -> [Float]) throws -> [UInt8] {
    // A text without a beginning begins a line.
    var text = prompt.isEmpty ? [UInt8(ascii: "\n")] : prompt
    let first = text.count
    let key = RandomKey(seed: seed).child("sample")
    for index in 0..<count {
      let logits = try odds(text.suffix(context))
      guard let byte = draw(logits, key.uniform(at: UInt64(index))) else {
        throw RunError(
          .notFinite, subject: "sample", reason: "the model's odds for byte \(index) are not finite",
          remedy: "use a checkpoint from before its weights went astray")
      }
      text.append(byte)
    }
    return Array(text[first...])
  }

  /// The byte for a uniform number in [0, 1); nil where a logit is not finite.
  package func draw(_ logits: [Float], _ uniform: Double) -> UInt8? {
    guard !logits.isEmpty, logits.allSatisfy(\.isFinite), let largest = logits.max() else { return nil }
    if temperature == 0 { return logits.firstIndex(of: largest).map { UInt8($0) } }
    let weights = logits.map { exp(Double($0 - largest) / temperature) }
    var left = uniform * weights.reduce(0, +)
    for (byte, weight) in weights.enumerated() {
      left -= weight
      if left < 0 { return UInt8(byte) }
    }
    // Rounding may leave a trace: the last byte that has any weight.
    return weights.lastIndex { $0 > 0 }.map { UInt8($0) }
  }
}
