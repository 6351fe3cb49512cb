/// What happens to a collective on its way through a rank.
package enum CollectiveMoment: UInt8, Sendable, CaseIterable {
  /// The rank asked for it.
  case requested
  /// The communication thread took it up.
  case began
  /// It is complete on this rank.
  case ended
  /// It failed, or one before it did.
  case failed
  /// The rank stands still until it is complete.
  case waitBegan
  case waitEnded
}

/// Told of every moment of every collective of one rank: a flight recorder, a trace. Called on the rank's thread and on its
/// communication thread, so it must be quick and take no lock that either may hold for long.
package protocol CollectiveObserver: Sendable {
  func note(_ moment: CollectiveMoment, _ collective: Collective)
}

/// Makes the observers of a rank once its place in the world is known.
package typealias CollectiveObservers = @Sendable (_ rank: Int, _ size: Int) -> [any CollectiveObserver]
