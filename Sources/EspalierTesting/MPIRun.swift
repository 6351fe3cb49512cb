internal import Foundation

/// Runs built executables of this package under mpirun, many ranks on few cores.
package enum MPIRun {
  /// Whether a machine without mpirun fails tests instead of skipping them: ESPALIER_REQUIRE_MPI=1.
  package static var isRequired: Bool { ProcessInfo.processInfo.environment["ESPALIER_REQUIRE_MPI"] == "1" }

  /// For `.enabled(if:)`: where mpirun is required its absence is the test's failure.
  package static var runs: Bool { isRequired || ProcessRunner.find("mpirun") != nil }

  /// Why a test is skipped.
  package static let skipReason = "mpirun was not found (set ESPALIER_REQUIRE_MPI=1 to make that a failure)"

  /// Shared-memory transport; ranks yield while they wait, since there may be more of them than cores.
  package static let flags = [
    "--oversubscribe", "--bind-to", "none", "--mca", "mpi_yield_when_idle", "1", "--mca", "pml", "ob1", "--mca", "btl",
    "self,vader", "--mca", "btl_vader_single_copy_mechanism", "none",
  ]

  /// Root may start ranks (containers).
  package static let environment = ["OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"]

  /// Runs `ranks` ranks of a product and waits for the end of the job.
  package static func run(
    ranks: Int, product: String, _ arguments: [String] = [], environment: [String: String] = [:],
    timeoutSeconds: Double = 60
  ) throws -> ProcessOutcome {
    try ProcessRunner.run(
      "mpirun", flags + ["-n", "\(ranks)", try ProcessRunner.product(product)] + arguments,
      environment: Self.environment.merging(environment) { $1 }, timeoutSeconds: timeoutSeconds)
  }
}
