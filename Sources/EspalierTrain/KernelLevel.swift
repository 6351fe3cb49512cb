package import EspalierComm
import EspalierState
import EspalierTensor

/// Which kernels compute: the promise of one result holds on one level only.
package enum KernelLevel {
  /// "x86-64-v3, OpenBLAS Zen, 1 thread".
  package static var description: String {
    let threads = Kernels.threads
    return "\(Kernels.level), OpenBLAS \(Kernels.coreName), \(threads) thread\(threads == 1 ? "" : "s")"
  }

  /// Compares kernels and products bit for bit between ranks; a cluster of two processor generations is refused before it
  /// computes two results. Collective.
  /// - Throws: `Kernels.LevelError`, or `RunError` that names two ranks that differ.
  package static func requireUniform(_ communicator: Communicator) throws {
    try Kernels.check()
    let own = [description, hexadecimal(Kernels.fingerprint() ?? 0)]
    let all = try communicator.gatherValues(own, label: "kernels")
    guard let other = all.firstIndex(where: { $0[1] != all[0][1] }) else { return }
    let hosts = communicator.members
    throw RunError(
      .mixedCluster, subject: "kernels",
      reason: "rank 0 on \(hosts[0].host) (\(all[0][0])) and rank \(other) on \(hosts[other].host) (\(all[other][0])) "
        + "compute different bits",
      remedy: "make them alike with OPENBLAS_CORETYPE (the oldest node's) and ESPALIER_KERNELS=x86-64-v3 on every rank")
  }
}
