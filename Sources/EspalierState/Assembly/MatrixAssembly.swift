import EspalierComm
import EspalierNN
import EspalierTensor

/// Brings directions of cut parameters to their owners and back, a segment at a time and several under way.
///
/// A segment is sent, transformed and received, in this order; while its parts travel, the rank works on other segments. Every rank takes
/// the same steps in the same order, also where it has nothing to send or to do.
final class MatrixAssembly {
  let plan: AssemblyPlan
  private let blueprint: Blueprint
  private let optimizer: any AssemblingOptimizer
  private let communicator: Communicator
  /// One for each segment that can be under way.
  private let flights: [Flight]
  /// Where an owner has a parameter whole.
  private let whole = Scratch()

  private final class Flight {
    let outgoing: Slab
    let incoming: Slab
    var pending: Pending<Void>?

    init(outgoing: Slab, incoming: Slab) {
      self.outgoing = outgoing
      self.incoming = incoming
    }
  }

  /// nil where nothing is brought together.
  init?(_ blueprint: Blueprint, _ layout: Layout, _ optimizer: any Optimizer, _ communicator: Communicator) {
    guard let optimizer = optimizer as? any AssemblingOptimizer else { return nil }
    plan = AssemblyPlan(blueprint, layout, optimizer)
    if plan.isEmpty { return nil }
    self.blueprint = blueprint
    self.optimizer = optimizer
    self.communicator = communicator
    let counts = plan.bufferCounts(of: communicator.rank)
    flights = (0..<plan.flights).map { _ in
      Flight(outgoing: communicator.slab(count: counts.sent), incoming: communicator.slab(count: counts.received))
    }
  }

  var elementCount: Int { plan.bufferElementCount(of: communicator.rank) }

  private func flight(_ segment: Int) -> Flight { flights[segment % flights.count] }

  /// Lets every stretch of the rank write its direction, and sends them to their owners.
  func send(_ segment: Int, _ shards: [Int: ParameterShard], at moment: UpdateMoment) {
    let exchange = plan.segments[segment]
    guard !exchange.parts.isEmpty else { return }
    forEachOwn(segment, shards) { shard, direction in optimizer.begin(shard, direction, at: moment) }
    let flight = flight(segment)
    flight.pending = communicator.allToAll(
      SlabRange(slab: flight.outgoing, offset: 0, count: exchange.sentCount(of: communicator.rank)),
      into: SlabRange(slab: flight.incoming, offset: 0, count: exchange.receivedCount(of: communicator.rank)),
      counts: exchange.counts, label: "directions of \(blueprint.segments[segment].name)")
  }

  /// Brings together what this rank owns, transforms it, and sends it back.
  func transform(_ segment: Int) throws {
    let exchange = plan.segments[segment]
    guard !exchange.parts.isEmpty else { return }
    let flight = flight(segment)
    try flight.pending?.wait()
    let owned = Dictionary(grouping: exchange.parts.filter { $0.owner == communicator.rank }, by: \.parameter)
    for (parameter, parts) in owned.sorted(by: { $0.key < $1.key }) {
      transform(parameter, parts.map { (part: $0, place: flight.incoming.pointer + $0.received) })
    }
    flight.pending = communicator.allToAll(
      SlabRange(slab: flight.incoming, offset: 0, count: exchange.receivedCount(of: communicator.rank)),
      into: SlabRange(slab: flight.outgoing, offset: 0, count: exchange.sentCount(of: communicator.rank)),
      counts: exchange.counts.reversed, label: "updates of \(blueprint.segments[segment].name)")
  }

  private func transform(
    _ parameter: Int, _ stretches: [(part: AssemblyPlan.Part, place: UnsafeMutablePointer<Float>)]
  ) {
    let spec = blueprint.parameters[parameter], marks = optimizer.markCount(of: spec)
    let room = Direction.room(spec.count, marks: marks)
    let memory = whole.floats(room + optimizer.scratchCount(of: spec))
    let direction = Direction(memory, range: 0..<spec.count, marks: marks)
    for mark in 0..<marks { direction.marks[mark] = 0 }
    for (part, place) in stretches {
      let stretch = Direction(place, range: part.range, marks: marks)
      (direction.elements + part.range.lowerBound).update(from: stretch.elements, count: part.range.count)
      for mark in 0..<marks where stretch.marks[mark] != 0 { direction.marks[mark] = 1 }
    }
    optimizer.transform(direction, of: spec, scratch: memory + room)
    for (part, place) in stretches {
      let stretch = Direction(place, range: part.range, marks: marks)
      stretch.elements.update(from: direction.elements + part.range.lowerBound, count: part.range.count)
      for mark in 0..<marks { stretch.marks[mark] = direction.marks[mark] }
    }
  }

  /// Takes the segment's directions back and moves every stretch of the rank along them.
  func receive(_ segment: Int, _ shards: [Int: ParameterShard], at moment: UpdateMoment) throws {
    guard !plan.segments[segment].parts.isEmpty else { return }
    try flight(segment).pending?.wait()
    flight(segment).pending = nil
    forEachOwn(segment, shards) { shard, direction in optimizer.finish(shard, direction, at: moment) }
  }

  private func forEachOwn(
    _ segment: Int, _ shards: [Int: ParameterShard], _ body: (ParameterShard, Direction) -> Void
  ) {
    for part in plan.segments[segment].parts where part.rank == communicator.rank {
      guard let shard = shards[part.parameter] else { continue }
      ProgressCounter.tick()
      body(shard, Direction(flight(segment).outgoing.pointer + part.sent, range: part.range, marks: part.marks))
    }
  }
}
