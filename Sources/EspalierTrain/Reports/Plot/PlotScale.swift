import Foundation

/// Where the values of an axis lie on the paper, and which of them are named.
package struct PlotScale {
  package struct Tick: Equatable {
    package let value: Double
    /// Empty for a tick that is not named.
    package let label: String
  }

  package let domain: ClosedRange<Double>
  /// Pixels of both ends; the first may be the larger, as of a vertical axis.
  let pixels: (Double, Double)
  let isLogarithmic: Bool

  /// - Parameter domain: widened where it is a point; of a logarithmic axis positive.
  package init(_ domain: ClosedRange<Double>, pixels: (Double, Double), isLogarithmic: Bool = false) {
    let (low, high) = (domain.lowerBound, domain.upperBound)
    if high > low {
      self.domain = domain
    } else {
      self.domain =
        isLogarithmic ? low / 2...low * 2 : low - max(abs(low) * 0.1, 1e-3)...low + max(abs(low) * 0.1, 1e-3)
    }
    self.pixels = pixels
    self.isLogarithmic = isLogarithmic
  }

  package func place(_ value: Double) -> Double {
    func bent(_ value: Double) -> Double { isLogarithmic ? log10(value) : value }
    let (low, high) = (bent(domain.lowerBound), bent(domain.upperBound))
    return pixels.0 + (pixels.1 - pixels.0) * (bent(value) - low) / (high - low)
  }

  /// Round values; a name is left out where it would touch another.
  /// - Parameter room: pixels that a name of so many characters takes along the axis.
  package func ticks(room: (Int) -> Double) -> [Tick] {
    let candidates = isLogarithmic ? logarithmicTicks : linearTicks(room)
    var taken: [(Double, Double)] = []
    var named: Set<Double> = []
    for candidate in candidates.sorted(by: { ($0.rank, $0.value) < ($1.rank, $1.value) }) where candidate.rank < 4 {
      let half = room(Self.text(candidate.value).count) / 2, center = place(candidate.value)
      guard !taken.contains(where: { $0.0 < center + half && center - half < $0.1 }) else { continue }
      taken.append((center - half, center + half))
      named.insert(candidate.value)
    }
    return candidates.map { Tick(value: $0.value, label: named.contains($0.value) ? Self.text($0.value) : "") }
  }

  /// Steps of 1, 2 or 5 times a power of ten, as narrow as names allow.
  private func linearTicks(_ room: (Int) -> Double) -> [(value: Double, rank: Int)] {
    let span = domain.upperBound - domain.lowerBound
    let wished = max(abs(pixels.1 - pixels.0) / max(room(6), 40), 2)
    let power = pow(10, floor(log10(span / wished)))
    let step = [1, 2, 5, 10].map { $0 * power }.first { span / $0 <= wished } ?? 10 * power
    let first = Int((domain.lowerBound / step - 1e-9).rounded(.up))
    let last = max(first, Int((domain.upperBound / step + 1e-9).rounded(.down)))
    return (first...last).map { (Double($0) * step, 0) }
  }

  /// 1 to 9 times the powers of ten; the powers are named first, then 2 and 5, then 3 and 7.
  private var logarithmicTicks: [(value: Double, rank: Int)] {
    let first = Int(floor(log10(domain.lowerBound))), last = Int(floor(log10(domain.upperBound)))
    let (low, high) = (domain.lowerBound * (1 - 1e-9), domain.upperBound * (1 + 1e-9))
    let ranks = [1: 0, 2: 1, 5: 1, 3: 2, 7: 3]
    var ticks: [(value: Double, rank: Int)] = []
    for power in first...max(last, first) {
      for digit in 1...9 {
        let value = Double(digit) * pow(10, Double(power))
        if value >= low, value <= high { ticks.append((value, ranks[digit] ?? 4)) }
      }
    }
    return ticks
  }

  /// At most four digits that matter, without zeros at the end.
  static func text(_ value: Double) -> String {
    if value == 0 { return "0" }
    let digits = min(max(3 - Int(floor(log10(abs(value)))), 0), 12)
    var text = String(format: "%.\(digits)f", locale: nil, value)
    if text.contains(".") {
      while text.last == "0" { text.removeLast() }
      if text.last == "." { text.removeLast() }
    }
    return text
  }
}
