internal import Foundation

extension World {
  /// The number of ranks that a launcher announced to this process; 1 without one.
  ///
  /// Read from OMPI_COMM_WORLD_SIZE (Open MPI's mpirun), PMI_SIZE (MPICH's and Slurm's PMI), PMIX_SIZE, or the task count of a Slurm step.
  public static var announcedSize: Int { announcement(in: ProcessInfo.processInfo.environment).size }

  /// How many ranks `environment` announces and which variable says so.
  ///
  /// Slurm's task count is believed only inside a step that srun started (SLURM_STEP_ID and SLURM_PROCID): in a batch script it describes the
  /// allocation, not this process.
  package static func announcement(in environment: [String: String]) -> (size: Int, variable: String) {
    func size(_ name: String) -> Int? { environment[name].flatMap { Int($0) }.flatMap { $0 >= 1 ? $0 : nil } }
    for name in ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_SIZE"] {
      if let size = size(name) { return (size, name) }
    }
    if environment["SLURM_STEP_ID"] != nil, environment["SLURM_PROCID"] != nil {
      for name in ["SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"] {
        if let size = size(name) { return (size, name) }
      }
    }
    return (1, "")
  }

  static func requireComplete(size: Int) throws {
    let announced = announcement(in: ProcessInfo.processInfo.environment)
    guard announced.size > size else { return }
    throw CommunicationError(
      .worldIncomplete, rank: 0, label: "start",
      reason: "the launcher announced \(announced.size) ranks (\(announced.variable)), but MPI sees a world of \(size)",
      remedy: "start with the mpirun of the MPI that Espalier is linked with (Open MPI), or with srun --mpi=pmix")
  }
}
