public import EspalierNN

/// The machines that a run is carried out on. A recipe and a cluster meet only on the command line: nothing here changes a result.
public struct ClusterSettings: CheckedSettings {
  public enum Transport: String, Codable, Sendable, CaseIterable { case auto, shared, tcp }
  public enum Launcher: String, Codable, Sendable, CaseIterable { case mpirun, srun, inProcess }

  public var version = 1
  public var nodes = 1
  public var hosts: [String] = []
  public var ranksPerNode = 1
  public var coresPerNode = 0
  public var memoryPerNode = 0.0
  public var threads = 0
  public var launcher = Launcher.mpirun
  public var transport = Transport.auto
  public var network = ""
  public var scratch = ""
  public var deadline = 60.0
  public var waitDeadline = 1800.0
  public var startDeadline = 60.0
  public var mpiArguments: [String] = []
  public var chunk = 1024

  public init() {}

  public static let fields = [
    SettingField("version", "The version of the file's language."),
    SettingField("nodes", unit: "nodes", "How many machines there are."),
    SettingField(
      "hosts", unit: "list of names",
      "Their names, as ssh knows them; empty for this machine, or for those that Slurm or PBS hands out."),
    SettingField("ranksPerNode", unit: "ranks/node", "How many ranks run on each."),
    SettingField(
      "coresPerNode", unit: "cores/node, 0 = ask",
      "The cores that the ranks of a node share; with fewer than ranks times threads, waiting ranks yield."),
    SettingField(
      "memoryPerNode", unit: "GiB/node, 0 = unknown",
      "The memory that the ranks of a node share; plan warns where a run needs more."),
    SettingField(
      "threads", unit: "threads/rank, 0 = the recipe's",
      "How many threads the recipe must ask for; another number is refused, for results change with them."),
    SettingField(
      "launcher", unit: "mpirun | srun | inProcess",
      "What starts the ranks; inProcess runs them as threads of one process."),
    SettingField(
      "transport", unit: "auto | shared | tcp",
      "How ranks reach each other: shared memory on one node, TCP between nodes; auto chooses by nodes."),
    SettingField(
      "network", unit: "CIDR or interface",
      "The network that TCP uses, as 10.0.0.0/24 or eth0; empty leaves the choice to MPI."),
    SettingField(
      "scratch", unit: "path", "A folder on each node's own disk for temporary files; empty for the system's."),
    SettingField(
      "deadline", unit: "seconds, 0 = for ever",
      "How long a rank that others wait for may stand still before the run is ended with its name."),
    SettingField(
      "waitDeadline", unit: "seconds",
      "How long a rank waits in one collective although all others live and move; then it stops."),
    SettingField("startDeadline", unit: "seconds", "How long the launcher waits for all hosts to answer."),
    SettingField(
      "mpiArguments", unit: "list of words",
      "Further arguments of mpirun or srun, after those that the launcher chooses."),
    SettingField(
      "chunk", unit: "KiB", "How much of a reduction is received before it is added; larger ones need more memory."),
  ]

  public static let limits: [String: SettingLimit] = [
    "version": .positive, "nodes": .positive, "ranksPerNode": .positive, "coresPerNode": .notNegative,
    "memoryPerNode": .notNegative, "threads": .notNegative, "deadline": .notNegative, "waitDeadline": .positive,
    "startDeadline": .positive,
    "chunk": .within(1...1_048_576),
  ]

  /// The ranks of all nodes.
  public var rankCount: Int { nodes * ranksPerNode }

  /// Whether the network is a range of addresses rather than an interface.
  public var networkIsCIDR: Bool { network.contains("/") }

  public func problems() -> [SettingProblem] {
    if !hosts.isEmpty, hosts.count != nodes {
      return [
        SettingProblem(
          "hosts", "hosts names \(hosts.count) machines, but nodes is \(nodes)",
          remedy: "make the two agree, or leave hosts empty")
      ]
    }
    if nodes > 1, transport == .shared {
      return [
        SettingProblem(
          "transport", "transport: shared reaches one machine only, but nodes is \(nodes)",
          remedy: "write transport: tcp or auto")
      ]
    }
    if nodes > 1, launcher == .inProcess {
      return [
        SettingProblem(
          "launcher", "launcher: inProcess runs on one machine only, but nodes is \(nodes)",
          remedy: "write launcher: mpirun")
      ]
    }
    if networkIsCIDR, !Self.isCIDR(network) {
      return [
        SettingProblem(
          "network", "network must be a CIDR or an interface, got '\(network)'",
          remedy: "write it as 10.0.0.0/24 or eth0")
      ]
    }
    return []
  }

  private static func isCIDR(_ text: String) -> Bool {
    let halves = text.split(separator: "/", omittingEmptySubsequences: false)
    guard halves.count == 2, let bits = UInt8(halves[1]), bits <= 32 else { return false }
    let bytes = halves[0].split(separator: ".", omittingEmptySubsequences: false)
    return bytes.count == 4 && bytes.allSatisfy { UInt8($0) != nil }
  }
}
