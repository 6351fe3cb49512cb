/// What the loss has done for the work lately, and whether more of the same is worth it: the rule `marginalReturn`.
///
/// With L the loss and C the floating-point operations of the run so far, the slope of a window is that of the least-squares
/// line through (ln C, L). The phase is exhausted when the newest window falls less than κ times as steeply as the
/// window of the same length that ended a lag before now; where neither falls, it is as well.
/// Losses are smoothed by the mean over buckets of a 25th of a window, which bounds what a checkpoint keeps. All numbers come
/// in the order of the steps and by addition, multiplication and division alone, so that every rank decides alike.
struct ReturnHistory: Codable, Sendable, Equatable {
  /// The mean over the steps of a bucket.
  struct Point: Codable, Sendable, Equatable {
    /// ln C.
    let work: Double
    let loss: Double
  }

  private(set) var points: [Point] = []
  private var count = 0
  private var works = 0.0
  private var losses = 0.0

  /// A window in steps, the steps of a bucket, and the buckets of window and lag.
  private struct Sizes {
    let bucket, window, lag: Int

    init(_ rule: MarginalReturn, of steps: Int) {
      let window = max(Int((rule.window * Double(steps)).rounded()), 4)
      bucket = max(window / 25, 1)
      self.window = window / bucket
      lag = Int((rule.lag * Double(steps) / Double(bucket)).rounded())
    }
  }

  /// Adds a step; one that was skipped adds nothing.
  /// - Parameter steps: of the stretch that the rule's fractions are parts of.
  mutating func add(loss: Double, operations: Double, _ rule: MarginalReturn, of steps: Int) {
    guard loss.isFinite, operations > 0 else { return }
    let sizes = Sizes(rule, of: steps)
    count += 1
    works += Self.logarithm(operations)
    losses += loss
    guard count >= sizes.bucket else { return }
    points.append(Point(work: works / Double(count), loss: losses / Double(count)))
    points.removeFirst(max(points.count - sizes.window - sizes.lag, 0))
    (count, works, losses) = (0, 0, 0)
  }

  func isExhausted(_ rule: MarginalReturn, of steps: Int) -> Bool {
    let sizes = Sizes(rule, of: steps)
    guard points.count >= sizes.window + sizes.lag else { return false }
    let now = Self.fall(points.suffix(sizes.window))
    let before = Self.fall(points.dropLast(sizes.lag).suffix(sizes.window))
    return before > 0 ? now < rule.kappa * before : now <= 0
  }

  /// −dL / d ln C of the least-squares line.
  static func fall(_ points: ArraySlice<Point>) -> Double {
    let count = Double(points.count)
    let work = points.reduce(0) { $0 + $1.work } / count, loss = points.reduce(0) { $0 + $1.loss } / count
    let square = points.reduce(0) { $0 + ($1.work - work) * ($1.work - work) }
    let product = points.reduce(0) { $0 + ($1.work - work) * ($1.loss - loss) }
    return square > 0 ? -product / square : 0
  }

  /// ln x for a positive x, by the series of artanh: the same bits with every mathematical library, which all ranks need to
  /// end a phase at the same step.
  static func logarithm(_ x: Double) -> Double {
    var (fraction, exponent) = (x.significand, Double(x.exponent))
    if fraction > 1.4142135623730951 { (fraction, exponent) = (fraction / 2, exponent + 1) }
    let ratio = (fraction - 1) / (fraction + 1), square = ratio * ratio
    let series = stride(from: 21, through: 1, by: -2).reduce(0.0) { $0 * square + 1 / Double($1) }
    return 2 * ratio * series + exponent * 0.6931471805599453
  }
}
