import EspalierComm
import Testing

@Suite("CostModel")
struct CostModelTests {
  private let plain = CostModel(
    meeting: 1, localMessage: 10, wireMessage: 100, memoryByte: 0.001, localByte: 0.01, wireByte: 0.1, addedByte: 0)

  @Test("one rank pays nothing and goes alone")
  func alone() {
    let hosts = HostMap(labels: [0])
    #expect(ReductionPath.chosen(bytes: 4, hosts: hosts, isShared: false) == .alone)
    #expect(plain.secondsOfSum(bytes: 1000, hosts: hosts, path: .alone) == 0)
  }

  @Test("windows cost one meeting and every byte read and written once")
  func windows() {
    let hosts = HostMap(labels: [0, 0, 0])
    #expect(ReductionPath.chosen(bytes: 4, hosts: hosts, isShared: true) == .windows)
    #expect(plain.secondsOfSum(bytes: 1000, hosts: hosts, path: .windows) == 1 + 6)
  }

  @Test("pairwise messages on one host: two passes of all slices but one's own")
  func pairwise() {
    let hosts = HostMap(labels: [0, 0])
    #expect(ReductionPath.chosen(bytes: 4, hosts: hosts, isShared: false) == .pairwise)
    #expect(abs(plain.secondsOfSum(bytes: 1000, hosts: hosts, path: .pairwise) - (2 + 20 + 10)) < 1e-9)
  }

  @Test("with windows a run crosses the wire of a host once each way, at any number of ranks on it")
  func betweenHosts() {
    for ranks in [1, 2, 4] {
      let hosts = HostMap(labels: (0..<2 * ranks).map { $0 / ranks })
      let local = plain.secondsOfSum(
        bytes: 1000, hosts: HostMap(labels: Array(repeating: 0, count: ranks)), path: .windows)
      let total = plain.secondsOfSum(bytes: 1000, hosts: hosts, path: .windowsAndPairwise)
      #expect(abs(total - local - (200 + 100)) < 1e-9)
      let half = plain.secondsOfSum(bytes: 1000, hosts: hosts, path: .windowsAndPairwise, wire: .bfloat16)
      #expect(abs(total - half - 50) < 1e-9)
    }
  }

  @Test("halving is chosen for short slices among a power of two of equal hosts")
  func halving() {
    func map(_ hosts: Int, _ ranks: Int) -> HostMap { HostMap(labels: (0..<hosts * ranks).map { $0 / ranks }) }
    // Four hosts spare one message of 100 s; copying four slices costs 0.008 s a byte.
    #expect(plain.halves(map(4, 2), sliceBytes: 12_000) && !plain.halves(map(4, 2), sliceBytes: 13_000))
    #expect(plain.halves(map(8, 1), sliceBytes: 20_000))
    #expect(!plain.halves(map(2, 2), sliceBytes: 4) && !plain.halves(map(6, 1), sliceBytes: 4))
    #expect(!plain.halves(HostMap(labels: [0, 0, 1, 2, 3]), sliceBytes: 4))
  }

  @Test("windows beat messages at every size and number of ranks of a host")
  func windowsWin() {
    for ranks in 2...16 {
      let hosts = HostMap(labels: Array(repeating: 0, count: ranks))
      for power in 2...28 {
        let model = CostModel.reference
        #expect(
          model.secondsOfSum(bytes: 1 << power, hosts: hosts, path: .windows)
            < model.secondsOfSum(bytes: 1 << power, hosts: hosts, path: .pairwise))
      }
    }
  }
}
