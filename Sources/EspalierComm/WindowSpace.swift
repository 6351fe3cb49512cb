internal import CMPI
internal import Foundation

/// Whether the place where shared memory lies has room for a window.
package enum WindowSpace {
  /// Bytes of a rank's part that are not slabs.
  package static let controlBytes = Int(CMPI_CONTROL_BYTES)

  /// Left free for everybody else on the host.
  package static let reserveBytes = 4 << 20

  /// Why a window of `needed` bytes on this host cannot be had; nil if it can.
  ///
  /// Asked before: a window that is larger than its file system is granted, and kills whoever touches its end.
  package static func refusal(needed: Int, free: Int, directory: String) -> String? {
    guard needed + reserveBytes > free else { return nil }
    return "\(directory) has \(mebibytes(free)) MiB free and the slabs of this host need \(mebibytes(needed)) MiB"
  }

  /// Bytes that a directory's file system has free for this process.
  package static func freeBytes(of directory: String) throws -> Int {
    var info = statvfs()
    guard statvfs(directory, &info) == 0 else {
      throw CommunicationError(
        .transportFailed, rank: 0,
        reason: "\(directory) cannot be asked for its free space: \(String(cString: strerror(errno)))",
        remedy: "name a directory in memory that every rank can write to (OMPI_MCA_osc_sm_backing_directory)")
    }
    return Int(info.f_bavail) * Int(info.f_frsize)
  }

  private static func mebibytes(_ bytes: Int) -> String { "\((Double(bytes) / 1048576 * 10).rounded() / 10)" }
}
