/// What a transport implements; everything that decides bits is written once above it.
///
/// A backend is made, used and closed by one rank's communication thread, and by no other.
package protocol Backend: AnyObject {
  var rank: Int { get }
  var size: Int { get }

  /// Sends and receives at the same time and blocks until both are done; a side that is nil takes no part.
  ///
  /// Between two ranks messages arrive in the order in which they were sent, and each meets a receive of the same size.
  /// - Throws: `CommunicationError` if a peer or the transport fails or a size differs.
  func exchange(send: OutgoingMessage?, receive: IncomingMessage?) throws

  /// Tells the other ranks, where the transport can, that this one takes part no more.
  func withdraw(because error: any Error)

  /// Ends every rank with `exitCode`; returns only if the transport cannot.
  func abort(exitCode: Int32)

  /// The ranks that can share memory with this one, itself among them, in rank order.
  var neighbours: [Int] { get }

  /// What the memory of windows is taken from, and how many bytes of it are free; nil where it is ordinary memory.
  func windowSpace() throws -> (directory: String, freeBytes: Int)?

  /// Makes memory that all neighbours can reach, zero, `bytes` of it on this rank; every neighbour calls it with the same `id`.
  func makeWindow(id: Int, bytes: Int) throws -> WindowMemory

  /// Gives such memory back; every neighbour calls it, in the same order.
  func freeWindow(_ memory: WindowMemory) throws

  /// - Throws: `CommunicationError` if a neighbour that this rank waits for has failed, ended or died.
  func requirePresent(_ peer: Int) throws

  /// Whether the transport has sums of its own.
  var hasNativeSums: Bool { get }

  /// The transport's own sum of floats, of which this rank receives its slice; its order, and so its bits, are the transport's.
  func nativeReduceScatter(_ send: UnsafePointer<Float>, into slice: UnsafeMutablePointer<Float>, counts: [Int]) throws

  /// The transport's own sum on every rank, in place.
  func nativeAllReduce(_ values: UnsafeMutablePointer<Float>, count: Int) throws

  /// Ends this rank's part in good order; no message is under way.
  func close() throws
}

/// Bytes on their way to `rank`.
package struct OutgoingMessage {
  package let bytes: UnsafeRawBufferPointer
  package let rank: Int
}

/// The place for bytes that come from `rank`.
package struct IncomingMessage {
  package let bytes: UnsafeMutableRawBufferPointer
  package let rank: Int
}
