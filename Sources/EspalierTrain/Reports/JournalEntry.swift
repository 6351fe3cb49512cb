/// One line of metrics.jsonl.
public struct JournalEntry: Sendable, Equatable {
  public enum Kind: String, Sendable, CaseIterable {
    case start, step, evaluation, save, skipped, resume, finish, warning, digest, border, growth, tasks
  }

  public let kind: Kind
  /// Steps done when the line was written; 0 for the start.
  public let step: Int
  public let fields: [String: SettingValue]

  /// An entry of any fields; `kind`, `step` and `time` are the journal's own.
  public init(_ kind: Kind, step: Int, fields: [String: SettingValue]) {
    self.kind = kind
    self.step = step
    self.fields = fields
  }

  /// A number as JSON has it, and as text where JSON has none.
  package static func number(_ value: Double) -> SettingValue {
    if value.isFinite { return .number(value) }
    return .text(value.isNaN ? "nan" : value > 0 ? "inf" : "-inf")
  }
}

extension JournalEntry {
  /// A run begins.
  /// - Parameter settings: the resolved settings.
  public static func start(settings: RunSettings, parameters: Int, ranks: Int, data: String) throws -> JournalEntry {
    JournalEntry(
      .start, step: 0,
      fields: [
        "settings": try SettingValue(encoding: settings), "parameters": .integer(parameters), "ranks": .integer(ranks),
        "data": .text(data),
      ])
  }

  /// A run continues.
  /// - Parameter step: the steps that are done.
  public static func resume(step: Int, from checkpoint: String, ranks: Int, changes: [SettingsChange]) throws
    -> JournalEntry
  {
    JournalEntry(
      .resume, step: step,
      fields: [
        "checkpoint": .text(checkpoint), "ranks": .integer(ranks), "changes": try SettingValue(encoding: changes),
      ])
  }

  /// A step was done.
  /// - Parameters:
  ///   - loss: the mean over the targets of the global batch, in nats.
  ///   - rate: the optimizer's rate in this step.
  ///   - gradientNorm: the global norm before clipping.
  ///   - tokens: targets that counted in this step, over all ranks.
  ///   - communication: rank 0's collectives since the line before; nil for a single rank.
  ///   - progress: after the step.
  ///   - largestLogit: of the heads that are clipped, before that; nil without any.
  ///   - clippedHeads: how many were too large.
  public static func step(
    _ step: Int, loss: Double, rate: Double, gradientNorm: Double, tokens: Int, seconds: Double,
    communication: CommunicationTime? = nil, progress: RunProgress? = nil, largestLogit: Double? = nil,
    clippedHeads: Int = 0
  ) -> JournalEntry {
    var fields: [String: SettingValue] = [
      "loss": number(loss), "rate": number(rate), "gradientNorm": number(gradientNorm), "tokens": .integer(tokens),
      "secondsPerStep": number(seconds), "tokensPerSecond": number(seconds > 0 ? Double(tokens) / seconds : 0),
    ]
    if let progress { fields.merge(progress.fields) { $1 } }
    if let communication {
      fields["secondsCommunicating"] = number(communication.busy)
      fields["secondsWaited"] = number(communication.waited)
      if let share = communication.hiddenShare { fields["communicationHidden"] = number(share) }
    }
    if let largestLogit {
      fields["largestLogit"] = number(largestLogit)
      fields["clippedHeads"] = .integer(clippedHeads)
    }
    return JournalEntry(.step, step: step, fields: fields)
  }

  /// The validation set was measured.
  /// - Parameter bitsPerByte: nil where targets are no bytes.
  public static func evaluation(
    step: Int, loss: Double, accuracy: Double, bitsPerByte: Double?, targets: Int, seconds: Double,
    progress: RunProgress? = nil
  ) -> JournalEntry {
    var fields: [String: SettingValue] = [
      "loss": number(loss), "accuracy": number(accuracy), "targets": .integer(targets), "seconds": number(seconds),
    ]
    if let progress { fields.merge(progress.fields) { $1 } }
    if let bitsPerByte { fields["bitsPerByte"] = number(bitsPerByte) }
    return JournalEntry(.evaluation, step: step, fields: fields)
  }

  /// One phase is over and another begins.
  /// - Parameters:
  ///   - from: places in the schedule.
  ///   - name: of the phase that begins.
  public static func border(step: Int, from: Int, to: Int, name: String) -> JournalEntry {
    JournalEntry(
      .border, step: step, fields: ["from": .integer(from), "to": .integer(to), "name": .text(name)])
  }

  /// The model was grown.
  /// - Parameters:
  ///   - name: of the operator.
  ///   - parameters: before and after.
  ///   - loss: on one held batch, before and after; nil where there is none.
  ///   - progress: after the growth; its phase is the growth.
  public static func growth(
    step: Int, name: String, to change: ModelChange, parameters: (before: Int, after: Int),
    loss: (before: Double, after: Double)?, seconds: Double, progress: RunProgress
  ) -> JournalEntry {
    var fields: [String: SettingValue] = [
      "operator": .text(name), "to": .mapping(change.options), "parametersBefore": .integer(parameters.before),
      "parametersAfter": .integer(parameters.after), "seconds": number(seconds),
    ]
    if let loss { (fields["lossBefore"], fields["lossAfter"]) = (number(loss.before), number(loss.after)) }
    return JournalEntry(.growth, step: step, fields: fields.merging(progress.fields) { $1 })
  }

  /// A checkpoint was written.
  /// - Parameter waited: seconds that training stood still for it.
  public static func save(step: Int, path: String, bytes: Int, seconds: Double, waited: Double) -> JournalEntry {
    JournalEntry(
      .save, step: step,
      fields: ["path": .text(path), "bytes": .integer(bytes), "seconds": number(seconds), "waited": number(waited)])
  }

  /// A step was left out on all ranks because its gradient was not finite.
  public static func skipped(step: Int, segment: String, parameter: String, lane: Int, samples: [UInt64])
    -> JournalEntry
  {
    JournalEntry(
      .skipped, step: step,
      fields: [
        "segment": .text(segment), "parameter": .text(parameter), "lane": .integer(lane),
        "samples": .list(samples.map { Int(exactly: $0).map(SettingValue.integer) ?? .unsigned($0) }),
      ])
  }

  /// Something that cannot be honoured as it was asked for.
  public static func warning(step: Int, _ text: String) -> JournalEntry {
    JournalEntry(.warning, step: step, fields: ["text": .text(text)])
  }

  /// The run ends.
  /// - Parameter reason: "done", "signal", "time limit", or an error's sentence.
  public static func finish(step: Int, reason: String, seconds: Double) -> JournalEntry {
    JournalEntry(.finish, step: step, fields: ["reason": .text(reason), "seconds": number(seconds)])
  }
}
