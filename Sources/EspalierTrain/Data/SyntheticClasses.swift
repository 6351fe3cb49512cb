public import EspalierNN
import EspalierTensor
import Foundation

/// Normal clouds about one centre a class. Sample i is a function of the settings and i alone; nothing is stored.
public struct SyntheticClasses: LabelledDataset {
  private let settings: SyntheticSettings
  private let context: Int
  /// Which samples of the endless task these are.
  private let range: Range<UInt64>
  private let key: RandomKey

  init(_ settings: SyntheticSettings, context: Int, indices: Range<UInt64>) {
    self.settings = settings
    self.context = context
    range = indices
    key = settings.key
  }

  public var sampleCount: Int { range.count }
  public var targetsAreBytes: Bool { false }
  public var classCount: Int { settings.classes }
  public var inputs: DatasetInputs { .features([settings.features]) }
  public var bytesPerSample: Int { 4 * (settings.features + 1) }
  public var contentHash: UInt64 { settings.contentHash(context: context, range: range) }

  public var description: String {
    "synthetic classes: \(sampleCount) samples of \(settings.features) features, \(settings.classes) classes"
  }

  public var labels: [Int32] { range.map { label(key.child($0)) } }

  private func label(_ sample: RandomKey) -> Int32 { Int32(sample.bits(at: 0) % UInt64(settings.classes)) }

  public func batch(of indices: [UInt64]) throws -> Batch {
    let width = settings.features
    var values: [Float] = []
    values.reserveCapacity(indices.count * width)
    var classes: [Int32] = []
    for index in indices {
      require(index < UInt64(sampleCount), "sample \(index) is none of \(sampleCount)")
      let sample = key.child(range.lowerBound + index)
      let number = label(sample)
      let centre = key.child("centre").child(UInt64(number))
      classes.append(number)
      for feature in 0..<UInt64(width) {
        values.append(Float(Self.normal(centre, feature) + settings.noise * Self.normal(sample, feature + 1)))
      }
    }
    return Batch(
      inputs: .features(values, [indices.count, width]), targets: Indices(classes, shape: [indices.count]),
      samples: indices)
  }

  /// A standard normal number by Box and Muller, Ann. Math. Statist. 1958, doi:10.1214/aoms/1177706645.
  private static func normal(_ key: RandomKey, _ index: UInt64) -> Double {
    let radius = (-2 * log(1 - key.uniform(at: 2 * index))).squareRoot()
    return radius * cos(2 * .pi * key.uniform(at: 2 * index + 1))
  }
}
