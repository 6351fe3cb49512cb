public import EspalierNN

/// An optimizer that needs all of a matrix for one thing alone: what becomes of its direction.
///
/// What comes before and after goes element by element, so the matrix may be cut among ranks: they send their stretches of the direction
/// to one that brings them together, and have them back. Where a rank has the whole, the same three movements follow each other on the spot;
/// so the bits are those of the movements, wherever they are made.
public protocol AssemblingOptimizer: Optimizer {
  /// How many parts of a parameter are left alone by themselves where they have no gradient.
  func markCount(of spec: ParameterSpec) -> Int
  /// Writes the direction of a stretch and marks parts that have a gradient in it. A part without one may have it elsewhere: its
  /// state must wait for `finish`.
  func begin(_ shard: ParameterShard, _ direction: Direction, at moment: UpdateMoment)
  /// Replaces the direction of a whole parameter.
  /// - Parameter scratch: `scratchCount(of:)` floats on a 64-byte edge.
  func transform(_ direction: Direction, of spec: ParameterSpec, scratch: UnsafeMutablePointer<Float>)
  /// Floats that `transform` works in.
  func scratchCount(of spec: ParameterSpec) -> Int
  /// Moves values along the direction, whose marks tell of all ranks now, and brings up to date what `begin` had to leave.
  func finish(_ shard: ParameterShard, _ direction: Direction, at moment: UpdateMoment)
}

extension AssemblingOptimizer {
  /// The three movements for a parameter of which this rank has all.
  public func updateWhole(_ shard: ParameterShard, at moment: UpdateMoment) {
    precondition(shard.range == 0..<shard.spec.count, "'\(shard.spec.name)' is cut at \(shard.range)")
    let room = Direction.room(shard.spec.count, marks: markCount(of: shard.spec))
    let memory = shard.scratch.floats(room + scratchCount(of: shard.spec))
    let direction = Direction(memory, range: shard.range, marks: markCount(of: shard.spec))
    begin(shard, direction, at: moment)
    transform(direction, of: shard.spec, scratch: memory + room)
    finish(shard, direction, at: moment)
  }
}

/// A direction under way: of a stretch on the rank that has it, or of all of a parameter on the one that brings it together.
public struct Direction {
  /// Elements of the flattened parameter.
  public let range: Range<Int>
  /// One float for each.
  public let elements: UnsafeMutablePointer<Float>
  /// For each part of the parameter 1 where its gradient is not zero, else 0.
  public let marks: UnsafeMutableBufferPointer<Float>

  /// In memory of `room` floats: elements, then marks.
  package init(_ memory: UnsafeMutablePointer<Float>, range: Range<Int>, marks: Int) {
    self.range = range
    elements = memory
    self.marks = UnsafeMutableBufferPointer(start: memory + range.count, count: marks)
  }

  /// Floats that a direction with its marks occupies, padding to 64 bytes included.
  package static func room(_ count: Int, marks: Int) -> Int { LayoutPlanner.aligned(count + marks) }
}
