import ArgumentParser
public import EspalierMethods
import Foundation

/// The command `espalier` as a library function, so that an extension can start it with a catalogue of its own:
///
///     Espalier.main(catalogue: .standard.adding(MyOptimizer.self))
public enum Espalier {
  /// Runs the command that the process was started with, and ends the process.
  ///
  /// Exit codes: 0; 75 where a run stopped as it was asked to and can be resumed; 64 for a command line that makes no sense; 1 for
  /// everything else, with one sentence on standard error.
  /// - Parameter catalogue: the models and optimizers that a recipe may name.
  public static func main(catalogue: Catalogue = .standard) -> Never {
    let parsed: any ParsableCommand
    do { parsed = try RootCommand.parseAsRoot() } catch {
      // Under mpirun every rank reads the same line; one of them says what is wrong with it.
      guard Launcher.announcedRank == 0 else { exit(RootCommand.exitCode(for: error).rawValue) }
      RootCommand.exit(withError: error)
    }
    guard let command = parsed as? any CatalogueCommand else {
      // The parser's own: help, or no command at all.
      var command = parsed
      do { try command.run() } catch { RootCommand.exit(withError: error) }
      exit(0)
    }
    do { exit(try command.run(CommandContext(catalogue: catalogue))) } catch {
      exit(FailureReport.printOnce(error))
    }
  }
}

/// What every command is given besides its arguments.
struct CommandContext: Sendable {
  let catalogue: Catalogue
}

/// A command that looks names up.
protocol CatalogueCommand: ParsableCommand {
  /// - Returns: the exit code.
  func run(_ context: CommandContext) throws -> Int32
}

/// `espalier` itself.
struct RootCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "espalier",
    abstract: "Trains neural networks on CPU clusters; the result of a recipe is the same on any number of ranks.",
    discussion: """
      A first run:  espalier train launch/recipes/quickstart.yaml --ranks 2
      With MPI:     launch/mpirun -n 2 train launch/recipes/quickstart.yaml
      """,
    groupedSubcommands: [
      CommandGroup(name: "Training", subcommands: [TrainCommand.self, EvaluateCommand.self, SampleCommand.self]),
      CommandGroup(
        name: "Recipe",
        subcommands: [
          InitCommand.self, CheckCommand.self, PlanCommand.self, DataCommand.self, ListCommand.self,
          DescribeCommand.self,
        ]),
      CommandGroup(
        name: "Run",
        subcommands: [
          RunsCommand.self, StatusCommand.self, CompareCommand.self, ReportCommand.self, TasksCommand.self,
        ]),
      CommandGroup(
        name: "Checkpoint",
        subcommands: [
          InspectCommand.self, VerifyCommand.self, DigestCommand.self, DiffCommand.self, LogCommand.self,
          ReshardCommand.self, GrowCommand.self, RepairCommand.self, RecoverCommand.self, ExportCommand.self,
          ImportCommand.self,
        ]),
      CommandGroup(name: "Machine", subcommands: [BenchCommand.self]),
    ])
}
