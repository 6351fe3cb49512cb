// Runs the laws of a transport under mpirun, or one of the ways in which a job may fail.
//
//   mpirun -n 3 espalier-conformance [--chunk ELEMENTS] [--maximum BYTES] [--checks] [--deadline SECONDS] [--case NAME]
//     [--hosts 0,0,1] [--no-windows] [--native]
//
// native: the sums of --native within rounding · laws: every law of BackendLaws · throw: the last rank throws while the others wait · die: the last rank is killed with a window open · mismatch: the last rank asks for another
// collective · sizes: the last rank cuts the run elsewhere · absent: the last rank never comes · early: the last rank returns while the
// others wait. · flight: writes a flight file (--file PATH) and kills itself, without MPI.

import EspalierComm
import EspalierTesting
import Foundation

struct Arguments {
  var options = CommunicationOptions()
  var scenario = "laws"
  var file = ""

  init(_ arguments: [String]) throws {
    var rest = arguments[...]
    while let name = rest.popFirst() {
      if name == "--checks" {
        options.checksCollectives = true
        continue
      }
      if name == "--no-windows" {
        options.usesWindows = false
        continue
      }
      if name == "--native" {
        options.reduction = .native
        continue
      }
      guard let value = rest.popFirst() else { throw BrokenLaw("\(name) needs a value") }
      switch (name, Int(value)) {
      case ("--case", _): scenario = value
      case ("--file", _): file = value
      case ("--hosts", _): options.pretendedHosts = value.split(separator: ",").compactMap { Int($0) }
      case ("--chunk", let count?): options.chunkElements = count
      case ("--maximum", let count?): options.maximumCount = count
      case ("--deadline", let seconds?): options.deadlineSeconds = Double(seconds)
      default: throw BrokenLaw("unknown argument \(name) \(value)")
      }
    }
  }
}

/// One write, so that lines of different ranks do not mix.
func say(_ line: String) { FileHandle.standardOutput.write(Data((line + "\n").utf8)) }

/// Sums of whole numbers, which are the same in every order.
func checkNativeSums(_ communicator: Communicator) throws {
  let (rank, size) = (communicator.rank, communicator.size)
  for isShared in [true, false] {
    for order in [LaneDealing.Order.contiguous, .roundRobin] {
      let lanes = size + 1, count = 101
      let boundaries = (0...size).map { $0 * count / size }
      let slice = boundaries[rank]..<boundaries[rank + 1]
      let slot = communicator.slab(count: slice.count)
      let slabs =
        isShared
        ? communicator.slabs(counts: [count, count], label: "layout")
        : (0..<2).map { _ in communicator.slab(count: count) }
      let counter = LaneCounter(slots: [slot.range], nodesIn: slabs)
      for round in LaneDealing(lanes: lanes, ranks: size, order: order).rounds {
        let mine = round.nodes(of: rank)
        for (node, slab) in zip(mine, slabs) {
          let sum = (node.firstLane..<node.firstLane + node.laneCount).reduce(0, +)
          for index in 0..<count { slab.pointer[index] = Float(sum * 1000 + node.laneCount * index) }
        }
        try communicator.reduceScatter(
          mine.indices.map { slabs[$0].range }, round: round, boundaries: boundaries, into: counter, label: "sum"
        ).wait()
      }
      let whole = lanes * (lanes - 1) / 2 * 1000
      for index in slice where slot.pointer[index - slice.lowerBound] != Float(whole + lanes * index) {
        throw BrokenLaw("element \(index) of \(order) is \(slot.pointer[index - slice.lowerBound])")
      }
      slabs[0].pointer.update(repeating: Float(rank), count: count)
      try communicator.allReduce(
        [slabs[0].range], round: LaneDealing(lanes: size, ranks: size, order: .contiguous).rounds[0],
        boundaries: boundaries, into: slabs[0].range, label: "all"
      ).wait()
      for index in 0..<count where slabs[0].pointer[index] != Float(size * (size - 1) / 2) {
        throw BrokenLaw("element \(index) of all is \(slabs[0].pointer[index])")
      }
    }
  }
}

func play(_ scenario: String, _ communicator: Communicator) throws {
  let isLast = communicator.rank == communicator.size - 1
  switch scenario {
  case "laws":
    let names = try BackendLaws.all(communicator)
    if communicator.rank == 0 { say("all laws hold: \(names.count)") }
  case "native":
    try checkNativeSums(communicator)
    if communicator.rank == 0 { say("native sums are right") }
  case "throw":
    if isLast { throw BrokenLaw("rank \(communicator.rank) was told to fail") }
    try communicator.barrier(label: "after the failure").wait()
  case "die":
    // With a window open and its pages touched.
    let slab = communicator.slabs(counts: [1 << 20], label: "layout")[0]
    if isLast { kill(getpid(), SIGKILL) }
    try communicator.allGather(
      slab.range, boundaries: (0...communicator.size).map { ($0 << 20) / communicator.size }, label: "blocks.3"
    ).wait()
  case "mismatch":
    try communicator.barrier(label: isLast ? "blocks.4" : "blocks.3").wait()
  case "sizes":
    let slab = communicator.slab(count: 1000)
    let boundaries = (0...communicator.size).map { $0 == communicator.size ? 1000 : $0 * (isLast ? 10 : 20) }
    try communicator.allGather(slab.range, boundaries: boundaries, label: "blocks.3").wait()
  case "absent":
    if isLast { Thread.sleep(forTimeInterval: 600) }
    try communicator.barrier(label: "blocks.3").wait()
  case "early":
    if !isLast { try communicator.barrier(label: "blocks.3").wait() }
  default:
    throw BrokenLaw("there is no case '\(scenario)'")
  }
}

/// A rank that is killed in the middle of a backward pass.
func recordAndDie(file: String) throws {
  let recorder = FlightRecorder(rank: 0, size: 2)
  try recorder.attach(to: file)
  recorder.enter(.backward, "blocks.2", step: 3)
  let collective = Collective(
    kind: .reduceScatter, label: "gradients of blocks.2", sequence: 41, boundaries: [0, 4, 8])
  for moment in [CollectiveMoment.requested, .began] { recorder.note(moment, collective) }
  kill(getpid(), SIGKILL)
}

do {
  var arguments = try Arguments(Array(CommandLine.arguments.dropFirst()))
  arguments.options.onFailure = { error in
    FileHandle.standardError.write(Data("failed: \(error)\n".utf8))
    return 3
  }
  let scenario = arguments.scenario
  if scenario == "flight" { try recordAndDie(file: arguments.file) }
  try World.mpi(options: arguments.options) { communicator in
    let me = communicator.members[communicator.rank]
    say("rank \(me.rank) of \(communicator.size) on \(me.host) pid \(me.pid)")
    try play(scenario, communicator)
  }
} catch {
  FileHandle.standardError.write(Data("failed: \(error)\n".utf8))
  exit(1)
}
