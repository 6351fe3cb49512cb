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
    let threadCount = min(max(workers, 1), count)
    guard threadCount > 1 else {
      let work = makeWorker()
      for number in 0..<count { try work(number) }
      return
    }
    let shared = Monitor(Progress())
    let threads = (0..<threadCount).map { index in
      DedicatedThread(named: "worker \(index)", stackBytes: 1 << 20) {
        let work = makeWorker()
        while let number = shared.update({ $0.take(count) }) {
          do { try work(number) } catch { shared.update { $0.fail(number, error) } }
        }
      }
    }
    for thread in threads { thread.join() }
    if let failure = shared.read({ $0.failure }) { throw failure.error }
  }

  private struct Progress {
    var next = 0
    var failure: (number: Int, error: any Error)?

    mutating func take(_ count: Int) -> Int? {
      guard failure == nil, next < count else { return nil }
      next += 1
      return next - 1
    }

    mutating func fail(_ number: Int, _ error: any Error) {
      if number < failure?.number ?? .max { failure = (number, error) }
    }
  }
}
