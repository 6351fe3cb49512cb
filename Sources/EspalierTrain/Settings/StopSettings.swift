public import EspalierNN

/// When a task ends before its steps are done, by the loss on samples that are held out of it.
public struct StopSettings: CheckedSettings {
  public var patience = 0
  public var factor = 2.0
  public var floor = 0.001

  public init() {}

  public static let fields = [
    SettingField(
      "patience", unit: "epochs, 0 = never",
      "Passes without a lower loss on the held-out samples (tasks.heldOut) after which the learning rate is divided."),
    SettingField("factor", unit: "divisor", "What the rate is divided by."),
    SettingField(
      "floor", unit: "fraction of the rate",
      "The task ends when the rate falls below this; the best weights are taken back."),
  ]

  public static let limits: [String: SettingLimit] = ["patience": .notNegative, "floor": .within(0...1)]

  public func problems() -> [SettingProblem] {
    factor > 1
      ? []
      : [
        SettingProblem(
          "factor", "stop.factor (\(factor)) must be above 1", remedy: "write 2, or another number above 1")
      ]
  }
}
