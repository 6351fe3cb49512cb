import CKernels
package import EspalierComm
import EspalierTensor

/// Which kernels compute: the promise of one result holds on one level only.
package enum KernelLevel {
  /// "x86-64-v3, OpenBLAS Zen, 1 thread".
  package static var description: String {
    let threads = Workers.threadCount
    return "\(String(cString: ck_level())), OpenBLAS \(Workers.blasCore), \(threads) thread\(threads == 1 ? "" : "s")"
  }

  /// Compares a few kernels and products bit for bit between ranks; a cluster of two processor generations is refused before it
  /// computes two results. Collective.
  package static func requireUniform(_ communicator: Communicator) throws {
    if let problem = ck_level_error() {
      throw RunError(
        .mixedCluster, subject: "ESPALIER_KERNELS", reason: String(cString: problem),
        remedy: "unset it, or name a level that this processor has: default, x86-64-v3, x86-64-v4")
    }
    let own = [description, hexadecimal(fingerprint())]
    let all = try communicator.gatherValues(own, label: "kernels")
    guard let other = all.firstIndex(where: { $0[1] != all[0][1] }) else { return }
    let hosts = communicator.members
    throw RunError(
      .mixedCluster, subject: "kernels",
      reason: "rank 0 on \(hosts[0].host) (\(all[0][0])) and rank \(other) on \(hosts[other].host) (\(all[other][0])) compute different bits",
      remedy: "make them alike with OPENBLAS_CORETYPE (the oldest node's) and ESPALIER_KERNELS=x86-64-v3 on every rank")
  }

  /// A hash of what some kernels and products make of fixed inputs.
  private static func fingerprint() -> UInt64 {
    let pool = Pool()
    let tape = Tape(pool: pool, mode: .inference)
    let key = RandomKey(seed: 1)
    func matrix(_ rows: Int, _ columns: Int, _ stream: UInt64) -> Tensor {
      let key = key.child(stream)
      return tape.constant((0..<rows * columns).map { Float(key.uniform(at: UInt64($0)) - 0.5) }, [rows, columns])
    }
    let x = matrix(37, 150, 1), weight = matrix(192, 150, 2), gain = matrix(1, 192, 3).reshaped([192])
    let y = x.linear(weight).rmsNorm(gain: gain, epsilon: 1e-5)
    let shape = AttentionShape(batch: 1, time: 37, heads: 2, keyValueHeads: 2, headWidth: 32)
    let attended = y.rotary(shape, base: 10000).attention(shape, causal: true, scale: 0.25).gelu()
    return (y.values + attended.values).reduce(into: 0) { $0 = RandomKey.mix($0 ^ UInt64($1.bitPattern)) }
  }
}
