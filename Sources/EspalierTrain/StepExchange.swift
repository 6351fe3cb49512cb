import EspalierComm

/// What a rank tells all others once a step, besides numbers of the step itself: every yes-or-no decision rides on it.
package struct RankNote: Hashable, Sendable {
  /// Why this rank wants to stop; 0 = it does not.
  package enum Stop: Int, Sendable { case no = 0, signal = 1, timeLimit = 2 }
  /// How far this rank's writer is with the save under way.
  package enum Save: Int, Sendable { case none = 0, writing = 1, written = 2, failed = 3 }

  package var stop: Stop
  package var save: Save
  /// Targets that count in this rank's lanes of the next step: known a step ahead, nobody waits for them then.
  package var upcomingWeight: Int

  package init(stop: Stop = .no, save: Save = .none, upcomingWeight: Int = 0) {
    self.stop = stop
    self.save = save
    self.upcomingWeight = upcomingWeight
  }
}

/// The sum of one lane's losses.
struct LaneLoss: Hashable, Sendable {
  let lane: Int
  let sum: Double
}

/// The one small gather of a step: notes, losses, the largest logits of clipped heads, and one double for each chunk of the gradient.
struct StepExchange: Sendable {
  let note: RankNote
  let losses: [LaneLoss]
  /// As many on every rank.
  let peaks: [Double]
  let squares: [Double]

  static func gather(_ own: StepExchange, over communicator: Communicator) throws -> [StepExchange] {
    try communicator.allGather(own.encoded, label: "losses and norms of the step").wait().map {
      StepExchange($0, peakCount: own.peaks.count)
    }
  }

  /// The sum over all lanes, in lane order.
  static func lossSum(_ gathered: [StepExchange]) -> Double {
    gathered.flatMap(\.losses).sorted { $0.lane < $1.lane }.reduce(0) { $0 + $1.sum }
  }

  init(note: RankNote, losses: [LaneLoss], peaks: [Double], squares: [Double]) {
    self.note = note
    self.losses = losses
    self.peaks = peaks
    self.squares = squares
  }

  private var encoded: [Double] {
    [Double(note.stop.rawValue), Double(note.save.rawValue), Double(note.upcomingWeight), Double(losses.count)]
      + losses.flatMap { [Double($0.lane), $0.sum] } + peaks + squares
  }

  private init(_ values: [Double], peakCount: Int) {
    note = RankNote(
      stop: .init(rawValue: Int(values[0])) ?? .no, save: .init(rawValue: Int(values[1])) ?? .none,
      upcomingWeight: Int(values[2]))
    let count = Int(values[3])
    losses = (0..<count).map { LaneLoss(lane: Int(values[4 + 2 * $0]), sum: values[5 + 2 * $0]) }
    let first = 4 + 2 * count
    peaks = Array(values[first..<first + peakCount])
    squares = Array(values[(first + peakCount)...])
  }
}
