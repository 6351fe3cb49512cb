internal import Foundation

/// A thread of our own with a stack that model code may use freely; it can be joined.
package final class DedicatedThread: Sendable {
  private let isDone = Monitor(false)

  /// Starts at once.
  package init(named name: String, stackBytes: Int, _ body: @escaping @Sendable () -> Void) {
    let isDone = isDone
    let thread = Thread {
      body()
      isDone.update { $0 = true }
    }
    thread.name = name
    thread.stackSize = stackBytes
    thread.start()
  }

  /// Waits until the body has returned; false if it has not by the deadline.
  @discardableResult
  package func join(atMost seconds: Double? = nil) -> Bool { isDone.wait(atMost: seconds) { $0 ? true : nil } ?? false }
}
