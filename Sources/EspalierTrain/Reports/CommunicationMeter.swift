package import EspalierComm

/// What a rank's collectives took, and how much of it the rank stood still for.
public struct CommunicationTime: Sendable, Equatable {
  /// Seconds that the communication thread spent inside collectives.
  public var busy = 0.0
  /// Seconds that the rank's thread waited for collectives.
  public var waited = 0.0

  public init() {}

  public init(busy: Double, waited: Double) {
    self.busy = busy
    self.waited = waited
  }

  /// The share of communication that computing hid, 1 − waited / busy, not below 0; nil where nothing was communicated.
  ///
  /// A collective that waits for a late rank counts as communication: on an uneven cluster the share says how much of that
  /// was hidden, too.
  public var hiddenShare: Double? { busy > 0 ? min(max(1 - waited / busy, 0), 1) : nil }

  static func - (a: CommunicationTime, b: CommunicationTime) -> CommunicationTime {
    CommunicationTime(busy: a.busy - b.busy, waited: a.waited - b.waited)
  }
}

/// Adds up the times of a rank's collectives: two clock readings and an addition each, so it is always on.
package final class CommunicationMeter: CollectiveObserver {
  private struct State {
    var busy: Int64 = 0
    var waited: Int64 = 0
    var began: Int64?
    var waitBegan: Int64?
  }

  private let state = Monitor(State())
  private let clock: @Sendable () -> Int64

  /// - Parameter clock: nanoseconds that only go forward.
  package init(clock: @escaping @Sendable () -> Int64 = TraceClock.nanoseconds) { self.clock = clock }

  package func note(_ moment: CollectiveMoment, _ collective: Collective) {
    guard moment != .requested else { return }
    let now = clock()
    state.update { state in
      switch moment {
      case .requested: break
      case .began: state.began = now
      case .ended, .failed:
        if let began = state.began { state.busy += now - began }
        state.began = nil
      case .waitBegan: state.waitBegan = now
      case .waitEnded:
        if let began = state.waitBegan { state.waited += now - began }
        state.waitBegan = nil
      }
    }
  }

  /// Since the meter was made; what is under way counts when it ends.
  package var total: CommunicationTime {
    state.read { CommunicationTime(busy: Double($0.busy) / 1e9, waited: Double($0.waited) / 1e9) }
  }
}
