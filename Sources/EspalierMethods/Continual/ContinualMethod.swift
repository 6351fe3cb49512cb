public import EspalierNN
public import EspalierState

/// A way to learn one task after the other without forgetting: a few answers to the engine's questions, in the order of a step.
///
/// A method says nothing of ranks, ZeRO, checkpoints or growth. What it keeps for every weight lies in slots, what it keeps of the
/// stream in one logical reservoir, and the little that is left in `memory`; all three are sharded or replicated, saved and resharded
/// by the engine. Several methods act one after the other, each on what the one before has left of the loss and the gradient.
///
/// A hook must ask the session the same on every rank; all that it can see there is the same on every rank.
public protocol ContinualMethod: Sendable, SendableMetatype {
  /// What a recipe may set.
  associatedtype Options: Settings
  /// Small, the same on every rank, saved.
  associatedtype Memory: Codable & Sendable = NoMemory
  /// The name in recipes; its slots begin with it and a dot.
  static var name: String { get }
  /// One sentence, with the source, for `espalier describe`.
  static var summary: String { get }
  /// - Throws: `MethodError` where an option has no meaning.
  init(_ options: Options) throws
  /// What it remembers besides slots and records.
  var memory: Memory { get set }
  /// What it keeps for every trained weight.
  var slots: [SlotSpec] { get }
  /// What it keeps of the stream, and draws from it at every step; nil for nothing.
  var replay: Replay? { get }
  /// Slots that it runs the model with, besides the weights themselves.
  var teachers: [Teacher] { get }
  /// The samples that a task is learned from.
  var exposure: Exposure { get }
  /// The slot whose weights are measured and handed on instead of the trained ones; nil for those.
  var measured: String? { get }
  /// Refuses a setting that it cannot work in.
  /// - Throws: `MethodError`.
  func check(_ setting: TaskSetting, with others: [String]) throws
  /// Refuses a model that it cannot protect.
  /// - Throws: `MethodError`.
  func check(_ blueprint: Blueprint) throws
  /// Refuses a growth after the first task.
  /// - Throws: `MethodError`.
  func check(_ growth: InputGrowth, of blueprint: Blueprint) throws
  /// What it asks of the cuts of a weight: whether one rank must have all of its gradient.
  func granularity(of spec: ParameterSpec) -> Granularity
  /// A task begins.
  mutating func taskBegan(_ session: any MethodSession) throws
  /// After how many passes of a task layers may be widened; nil for never.
  func widensAfter(_ task: TaskInfo) -> Int?
  /// What layers read more from here on; nil for nothing.
  mutating func widening(_ session: any MethodSession) throws -> LayerWidening?
  /// A step begins: before its lanes are computed.
  mutating func stepBegan(_ session: any MethodSession) throws
  /// What one lane's logits are made into. Called once a lane, so nothing may be remembered here; `loss.note` tells numbers of
  /// samples to `updated`.
  func shape(_ loss: inout StepLoss) throws
  /// The gradient is the sum over all lanes.
  mutating func adjust(_ session: any MethodSession) throws
  /// Which of the stream's samples of the step may become records, in the order of the batch; nil for all.
  func keeps(_ session: any MethodSession) -> [Bool]?
  /// The weights have been updated. Not called after a step that was skipped.
  mutating func updated(_ session: any MethodSession) throws
  /// A task is over.
  mutating func taskEnded(_ session: any MethodSession) throws
  /// The model has grown. Slots have grown with it; this is for what lies in `memory`.
  mutating func grown(_ growth: InputGrowth) throws
}

/// Of a method that remembers nothing.
public struct NoMemory: Codable, Sendable {
  /// The only value.
  public init() {}
}

extension ContinualMethod where Memory == NoMemory {
  /// Nothing.
  public var memory: NoMemory {
    get { NoMemory() }
    set {}
  }
}

/// A method answers what concerns it and leaves the rest.
extension ContinualMethod {
  public var slots: [SlotSpec] { [] }
  public var replay: Replay? { nil }
  public var teachers: [Teacher] { [] }
  public var exposure: Exposure { .task }
  public var measured: String? { nil }
  public func check(_ setting: TaskSetting, with others: [String]) throws {}
  public func check(_ blueprint: Blueprint) throws {}
  public func check(_ growth: InputGrowth, of blueprint: Blueprint) throws {}
  public func granularity(of spec: ParameterSpec) -> Granularity { .element }
  public mutating func taskBegan(_ session: any MethodSession) throws {}
  public func widensAfter(_ task: TaskInfo) -> Int? { nil }
  public mutating func widening(_ session: any MethodSession) throws -> LayerWidening? { nil }
  public mutating func stepBegan(_ session: any MethodSession) throws {}
  public func shape(_ loss: inout StepLoss) throws {}
  public mutating func adjust(_ session: any MethodSession) throws {}
  public func keeps(_ session: any MethodSession) -> [Bool]? { nil }
  public mutating func updated(_ session: any MethodSession) throws {}
  public mutating func taskEnded(_ session: any MethodSession) throws {}
  public mutating func grown(_ growth: InputGrowth) throws {}
}

/// The samples that a task is learned from.
public enum Exposure: Sendable {
  /// Its own.
  case task
  /// Those of all tasks so far, its own among them.
  case seen
}

/// A slot that the model is run with: a teacher, an average.
public struct Teacher: Hashable, Sendable {
  /// The slot that holds its weights.
  public let slot: String
  /// The parts of a step that it is shown.
  public let parts: Set<StepPart>

  /// A teacher of its parts.
  public init(_ slot: String, parts: Set<StepPart>) {
    self.slot = slot
    self.parts = parts
  }
}

/// Samples of a step by where they come from.
public enum StepPart: Hashable, Sendable {
  /// The task that is being learned.
  case stream
  /// A draw from the records, by its name.
  case draw(String)
}

/// A method option without meaning, or a setting that a method cannot work in.
public struct MethodError: Error, CustomStringConvertible, Equatable {
  /// The method and the option: "er.samples".
  public let subject: String
  /// What is wrong, with the value.
  public let reason: String
  /// What to write instead.
  public let remedy: String

  /// An error about one option.
  public init(_ subject: String, _ reason: String, remedy: String) {
    self.subject = subject
    self.reason = reason
    self.remedy = remedy
  }

  /// One sentence.
  public var description: String { "method '\(subject)': \(reason); \(remedy)" }
}
