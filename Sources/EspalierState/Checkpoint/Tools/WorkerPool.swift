import EspalierComm
import Foundation

/// Threads that share out numbered pieces of work, for tools that run outside of training.
package enum WorkerPool {
  /// As many as the process may use.
  package static var cores: Int { ProcessInfo.processInfo.activeProcessorCount }

  /// Calls the function that `makeWorker` gives each thread with every number once; lower numbers are begun first.
  ///
  /// After a failure no further number is begun.
  /// - Throws: the error of the lowest number that failed.
  package static func forEach(
    _ count: Int, workers: Int, _ makeWorker: @escaping @Sendable () -> (Int) throws -> Void
  ) throws {
    let shared = Monitor(Progress())
    let work: @Sendable () -> Void = {
      let work = makeWorker()
      while let number = shared.update({ $0.take(count) }) {
        do {
          try work(number)
          shared.update { $0.inWork -= 1 }
        } catch { shared.update { $0.fail(number, error) } }
      }
    }
    // The caller works as well, and waits for work and not for threads: where memory is short a thread may never start.
    for index in 1..<max(min(workers, count), 1) {
      _ = DedicatedThread(named: "worker \(index)", stackBytes: 1 << 20, work)
    }
    work()
    _ = shared.wait { $0.inWork == 0 ? true : nil }
    if let failure = shared.read({ $0.failure }) { throw failure.error }
  }

  private struct Progress {
    var next = 0
    var inWork = 0
    var failure: (number: Int, error: any Error)?

    mutating func take(_ count: Int) -> Int? {
      guard failure == nil, next < count else { return nil }
      next += 1
      inWork += 1
      return next - 1
    }

    mutating func fail(_ number: Int, _ error: any Error) {
      inWork -= 1
      if number < failure?.number ?? .max { failure = (number, error) }
    }
  }
}
