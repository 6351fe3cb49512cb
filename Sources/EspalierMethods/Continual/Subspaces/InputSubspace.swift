public import EspalierTensor
import Foundation

/// What is kept of the inputs that a layer has had: a basis of the space M that they span, or of what is left of it.
///
/// A gradient whose rows lie outside of M changes nothing of what the layer made of those inputs. While M is small its basis is stored
/// (`remove`); once it fills more than half of the dimensions, that of its complement is (`retain`), so the memory shrinks again.
/// - Saha, Garg, Roy 2021, arXiv:2103.09762 (GPM); Liang and Li 2023, CVPR (DualGPM).
public struct InputSubspace: Codable, Sendable, Equatable {
  /// What the basis spans.
  public enum Kind: String, Codable, Sendable {
    /// M: its part of a gradient is taken out.
    case remove
    /// The complement of M: its part of a gradient is what is left.
    case retain
  }

  /// When the other space is stored instead.
  public enum Flip: Sendable {
    /// Never: GPM.
    case never
    /// M for its complement: DualGPM.
    case once
    /// Also back, as widening makes necessary: API.
    case both
  }

  public private(set) var kind: Kind
  /// Of an input.
  public private(set) var dimension: Int
  /// Orthonormal vectors, `[count, dimension]`, row-major.
  private var basis: [Float]

  /// Vectors of the basis.
  public var count: Int { dimension == 0 ? 0 : basis.count / dimension }

  private init(_ kind: Kind, _ vectors: DoubleMatrix) {
    self.kind = kind
    dimension = vectors.columns
    basis = vectors.values.map(Float.init)
  }

  /// The basis in double precision.
  public var vectors: DoubleMatrix { DoubleMatrix(rows: count, columns: dimension, basis.map(Double.init)) }

  /// Of the inputs of a first task.
  ///
  /// Directions are taken in the order of their energy (eigenvalues of Σ h hᵀ) as long as their sum stays below the threshold.
  /// - Parameters:
  ///   - moments: Σ h hᵀ over inputs h.
  ///   - threshold: of the share of the energy.
  ///   - takesCrossing: whether the direction that reaches the threshold is taken as well, as in the paper; the authors' code leaves it out.
  /// - Throws: `DecompositionFailure`.
  public init(
    first moments: DoubleMatrix, threshold: Double, flip: Flip, takesCrossing: Bool = false, keepsOne: Bool = false
  )
    throws
  {
    var taken = 0
    func isRetained() -> Bool { flip != .never && 2 * taken >= moments.rows }
    let eigen = try SymmetricEigen(moments) { values in
      taken = Self.directions(of: values, below: threshold, takesCrossing: takesCrossing, keepsOne: keepsOne)
      return isRetained() ? values.count : taken
    }
    if isRetained() {
      self.init(.retain, eigen.vectors.rows(taken..<moments.rows))
    } else {
      self.init(.remove, eigen.vectors)
    }
  }

  /// How many values a first task takes.
  private static func directions(
    of values: [Double], below threshold: Double, takesCrossing: Bool, keepsOne: Bool
  ) -> Int {
    let total = energy(values)
    var (count, share) = (0, 0.0)
    for value in values where total > 0 {
      share += max(value, 0) / total
      guard share < threshold else {
        if takesCrossing { count += 1 }
        break
      }
      count += 1
    }
    return keepsOne ? max(count, 1) : count
  }

  /// The sum of the values; what rounding made negative counts 0.
  private static func energy(_ values: [Double]) -> Double { values.reduce(0) { $0 + max($1, 0) } }

  /// Takes in the inputs of a further task.
  /// - Throws: `DecompositionFailure`.
  public mutating func update(_ moments: DoubleMatrix, threshold: Double, flip: Flip) throws {
    require(moments.rows == dimension, "inputs of \(moments.rows) for a memory of \(dimension)")
    let own = vectors, total = moments.trace
    guard total > 0 else { return }
    // Where gradients may still go; what of the moments lies there is all that counts, in coordinates of that space.
    let free = try kind == .remove ? own.complement() : own
    let seen = free.times(moments).times(free, otherTransposed: true)
    switch kind {
    case .remove:
      var added = 0
      let eigen = try SymmetricEigen(seen) { values in
        var share = (total - Self.energy(values)) / total
        while share < threshold, added < values.count {
          share += max(values[added], 0) / total
          added += 1
        }
        return added
      }
      if added > 0 { self = InputSubspace(.remove, own.above(eigen.vectors.times(free))) }
    case .retain:
      let eigen = try SymmetricEigen(seen)
      var (taken, share) = (0, Self.energy(eigen.values) / total)
      while share >= 1 - threshold, taken < count {
        share -= max(eigen.values[taken], 0) / total
        taken += 1
      }
      if taken > 0 { self = InputSubspace(.retain, eigen.vectors.rows(taken..<count).times(free)) }
    }
    try self.flip(flip)
  }

  private mutating func flip(_ flip: Flip) throws {
    guard 2 * count > dimension, flip == .both || (flip == .once && kind == .remove) else { return }
    self = InputSubspace(kind == .remove ? .retain : .remove, try vectors.complement())
  }

  /// The layer reads more: earlier inputs are 0 there.
  public mutating func embed(adding extra: Int) {
    guard extra > 0 else { return }
    let own = vectors, count = own.rows
    var wide = DoubleMatrix(rows: kind == .retain ? count + extra : count, columns: dimension + extra)
    for row in 0..<count { for column in 0..<dimension { wide[row, column] = own[row, column] } }
    if kind == .retain { for index in 0..<extra { wide[count + index, dimension + index] = 1 } }
    self = InputSubspace(kind, wide)
  }

  /// Coordinates of the input have become copies of old ones: new coordinate i is old coordinate `sources[i]`.
  /// - Throws: `DecompositionFailure`.
  public mutating func copy(_ sources: [Int]) throws {
    let own = vectors
    func spread(_ vectors: DoubleMatrix) -> DoubleMatrix {
      var wide = DoubleMatrix(rows: vectors.rows, columns: sources.count)
      for row in 0..<vectors.rows {
        for (column, source) in sources.enumerated() { wide[row, column] = vectors[row, source] }
      }
      return wide
    }
    let old = try kind == .remove ? own : own.complement()
    // Copies are no longer of length 1, nor orthogonal.
    let new = spread(old), span = try SymmetricEigen(new.times(new, transposed: true)).vectors
    self = InputSubspace(
      kind, kind == .remove ? span.rows(0..<old.rows) : span.rows(old.rows..<sources.count))
  }

  /// What a gradient `[outputs, dimension]` is multiplied with on the right.
  public var gradientProjector: DoubleMatrix {
    let own = vectors, projector = own.times(own, transposed: true)
    return kind == .retain ? projector : .identity(dimension) - projector
  }

  /// Leaves of a gradient what changes nothing of what was made of earlier inputs.
  /// - Parameters:
  ///   - gradient: `[outputs, columns]`, row-major; columns behind `dimension` are new ones and stay as they are.
  ///   - outputs: its rows.
  public func project(_ gradient: UnsafeMutableBufferPointer<Float>, outputs: Int) {
    guard outputs > 0, let start = gradient.baseAddress else { return }
    let stride = gradient.count / outputs
    require(stride >= dimension, "a gradient of \(stride) columns for a memory of \(dimension)")
    var parts = [Float](repeating: 0, count: outputs * count)
    basis.withUnsafeBufferPointer { basis in
      projectRows(
        start, rows: outputs, stride: stride, onto: basis, count: count, dimension: dimension, keeps: kind == .retain,
        parts: &parts)
    }
  }

  private enum CodingKeys: String, CodingKey { case kind, dimension, basis }

  /// Of what a checkpoint holds.
  /// - Throws: `DecodingError` where the bytes are no vectors of the dimension.
  public init(from decoder: any Swift.Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    kind = try values.decode(Kind.self, forKey: .kind)
    dimension = try values.decode(Int.self, forKey: .dimension)
    let bytes = try values.decode(Data.self, forKey: .basis)
    guard dimension >= 0, bytes.count % 4 == 0, dimension == 0 || bytes.count / 4 % dimension == 0 else {
      throw DecodingError.dataCorruptedError(
        forKey: .basis, in: values, debugDescription: "\(bytes.count) bytes are no vectors of \(dimension)")
    }
    var words = [UInt32](repeating: 0, count: bytes.count / 4)
    _ = words.withUnsafeMutableBytes { bytes.copyBytes(to: $0) }
    basis = words.map { Float(bitPattern: UInt32(littleEndian: $0)) }
  }

  /// Kind, dimension, and the basis as little-endian floats.
  public func encode(to encoder: any Swift.Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(kind, forKey: .kind)
    try values.encode(dimension, forKey: .dimension)
    try values.encode(basis.map { $0.bitPattern.littleEndian }.withUnsafeBytes { Data($0) }, forKey: .basis)
  }
}
