import Foundation

/// What a run shows while it lasts: one line of progress that is rewritten in place on a terminal, plain lines elsewhere.
///
/// Only the console of rank 0 prints. Any thread may call it.
///
/// `@unchecked Sendable`: every mutable property is read and written with `lock` held.
public final class Console: @unchecked Sendable {
  /// Where the text goes.
  public struct Output: Sendable {
    public let isTerminal: Bool
    /// Columns of the terminal, asked for each line because windows change.
    public let width: @Sendable () -> Int
    public let write: @Sendable (String) -> Void

    public init(
      isTerminal: Bool, width: @escaping @Sendable () -> Int = { 80 }, write: @escaping @Sendable (String) -> Void
    ) {
      self.isTerminal = isTerminal
      self.width = width
      self.write = write
    }

    /// Standard output. `ESPALIER_TERMINAL=0` or `1` decides whether it is a terminal: under mpirun a rank's output can look like one
    /// and end in a file.
    public static var standard: Output {
      let wish = ProcessInfo.processInfo.environment["ESPALIER_TERMINAL"]
      return Output(isTerminal: wish.map { $0 == "1" } ?? (isatty(STDOUT_FILENO) == 1), width: { terminalWidth() }) {
        text in
        // A closed pipe is no reason to stop training.
        try? FileHandle.standardOutput.write(contentsOf: Data(text.utf8))
      }
    }

    private static func terminalWidth() -> Int {
      var size = winsize()
      guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
      return Int(size.ws_col)
    }
  }

  private let output: Output
  private let isActive: Bool
  private let interval: Double
  private let clock: @Sendable () -> Double
  private let lock = NSLock()
  private var lastProgress = -Double.infinity
  private var hasOpenLine = false
  private var secondsPerStep = 0.0

  /// - Parameters:
  ///   - interval: the least seconds between two plain lines of progress (`log.console`).
  ///   - clock: seconds that only go forward.
  public init(
    rank: Int, interval: Double, output: Output = .standard,
    clock: @escaping @Sendable () -> Double = ReportClock.uptime
  ) {
    isActive = rank == 0
    self.interval = interval
    self.output = output
    self.clock = clock
  }

  /// How far the run is.
  public struct Progress: Sendable, Equatable {
    /// Steps done, and all of them.
    public let step: Int
    public let stepCount: Int
    public let loss: Double
    public let tokensPerSecond: Double
    public let secondsPerStep: Double
    /// Growths done, and all of them.
    public let growths: Int
    public let growthCount: Int

    public init(
      step: Int, stepCount: Int, loss: Double, tokensPerSecond: Double, secondsPerStep: Double, growths: Int = 0,
      growthCount: Int = 0
    ) {
      self.step = step
      self.stepCount = stepCount
      self.loss = loss
      self.tokensPerSecond = tokensPerSecond
      self.secondsPerStep = secondsPerStep
      self.growths = growths
      self.growthCount = growthCount
    }
  }

  /// Shows how far the run is, if it is time again; the last step is always shown.
  public func progress(_ progress: Progress) {
    guard isActive else { return }
    lock.withLock {
      // One slow step (a save, an evaluation) should not throw the time that is left about.
      secondsPerStep =
        secondsPerStep == 0 ? progress.secondsPerStep : 0.9 * secondsPerStep + 0.1 * progress.secondsPerStep
      let now = clock()
      guard progress.step >= progress.stepCount || now - lastProgress >= (output.isTerminal ? 0.1 : interval) else {
        return
      }
      lastProgress = now
      let text = ProgressText.line(progress, secondsLeft: Double(progress.stepCount - progress.step) * secondsPerStep)
      if output.isTerminal {
        output.write("\r" + text.prefix(max(output.width() - 1, 1)) + "\u{1b}[K")
        hasOpenLine = true
      } else {
        output.write(text + "\n")
      }
    }
  }

  /// Prints a line that stays.
  public func line(_ text: String) {
    guard isActive else { return }
    lock.withLock {
      // On a terminal it takes the place of the progress line, which the next step writes anew below.
      output.write((hasOpenLine ? "\r\u{1b}[K" : "") + text + "\n")
      hasOpenLine = false
      if output.isTerminal { lastProgress = -Double.infinity }
    }
  }

  /// Leaves the last progress line standing.
  public func finish() {
    guard isActive else { return }
    lock.withLock {
      if hasOpenLine { output.write("\n") }
      hasOpenLine = false
    }
  }
}

/// How progress reads.
package enum ProgressText {
  /// "step  120/400  loss 2.3141  81.2k tokens/s  0:42 left", in columns that hold still; with "grown 1/2" where the run grows.
  package static func line(_ progress: Console.Progress, secondsLeft: Double) -> String {
    let count = String(progress.stepCount)
    let step = String(progress.step)
    let padding = String(repeating: " ", count: max(0, count.count - step.count))
    let loss = progress.loss.isFinite ? decimals(progress.loss, 4) : "\(progress.loss)"
    let left = progress.step < progress.stepCount ? duration(secondsLeft) + " left" : "done"
    let grown = progress.growthCount > 0 ? "  grown \(progress.growths)/\(progress.growthCount)" : ""
    return "step \(padding)\(step)/\(count)  loss \(loss)  \(short(progress.tokensPerSecond)) tokens/s\(grown)  \(left)"
  }

  /// Three digits and a letter: 812, 8.12k, 81.2k, 1.25M.
  package static func short(_ value: Double) -> String {
    guard value.isFinite, value >= 0 else { return "\(value)" }
    var value = value
    for suffix in ["", "k", "M", "G"] {
      if value < 999.5 { return decimals(value, value < 9.995 ? 2 : value < 99.95 ? 1 : 0) + suffix }
      value /= 1000
    }
    return decimals(value, 0) + "T"
  }

  /// 0:42, 12:05, 3:04:05, 2 d 03 h.
  package static func duration(_ seconds: Double) -> String {
    guard seconds.isFinite, seconds >= 0, seconds < 1e9 else { return "?" }
    let all = Int(seconds.rounded())
    func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
    if all >= 86_400 { return "\(all / 86_400) d \(two(all % 86_400 / 3600)) h" }
    if all >= 3600 { return "\(all / 3600):\(two(all % 3600 / 60)):\(two(all % 60))" }
    return "\(all / 60):\(two(all % 60))"
  }

  /// A number with so many digits after the point, whatever the locale.
  private static func decimals(_ value: Double, _ digits: Int) -> String {
    String(format: "%.\(digits)f", locale: nil, value)
  }
}
