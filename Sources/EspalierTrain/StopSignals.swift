import Synchronization

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// SIGTERM and SIGUSR1: what a scheduler sends before it takes a node back. They set a flag that rides on the next step's
/// exchange, so that all ranks save at the same step and exit with 75 ("run me again").
package enum StopSignals {
  private static let received = Atomic<Bool>(false)

  /// Starts to listen. A second signal is not needed and does nothing more.
  package static func listen() {
    // Whoever started this process may have blocked them, and a child inherits that.
    var listened = sigset_t()
    sigemptyset(&listened)
    for number in [SIGTERM, SIGUSR1] { sigaddset(&listened, number) }
    pthread_sigmask(SIG_UNBLOCK, &listened, nil)
    for number in [SIGTERM, SIGUSR1] {
      signal(number) { _ in StopSignals.received.store(true, ordering: .relaxed) }
    }
  }

  package static var isStopRequested: Bool { received.load(ordering: .relaxed) }
}
