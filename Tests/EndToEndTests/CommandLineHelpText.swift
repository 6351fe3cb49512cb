/// The help of every command as text: flags are a promise to scripts. When one is added on purpose, put its new help here.
enum CommandLineHelpText {
  /// Each begins with the line that asks for it.
  static let all = #"""
    $ espalier --help
    OVERVIEW: Trains neural networks on CPU clusters; the result of a recipe is the
    same on any number of ranks.

    A first run:  espalier train launch/recipes/quickstart.yaml --ranks 2
    With MPI:     launch/mpirun -n 2 train launch/recipes/quickstart.yaml

    USAGE: espalier <subcommand>

    OPTIONS:
      -h, --help              Show help information.

    TRAINING SUBCOMMANDS:
      train                   Trains what a recipe says, or goes on with --resume.
      evaluate                Measures a checkpoint on its validation set: loss,
                              bits per byte, accuracy.
      sample                  Lets a language model continue a text.

    RECIPE SUBCOMMANDS:
      init                    Writes a recipe with a comment for every option.
      check                   Reads a recipe, its data and the shapes of its model
                              without training.
      plan                    Tells what a run will need: memory, traffic, work,
                              size of a checkpoint.
      data                    Shows data: counts, bytes, first samples.
      list                    Lists the models, optimizers, growth operators,
                              continual methods and data sets that a recipe may
                              name.
      describe                Explains a model, an optimizer, a growth operator, a
                              method, a data set or a part of a recipe: options,
                              defaults, units, paper.

    RUN SUBCOMMANDS:
      runs                    Lists the runs below a folder: state, step, loss,
                              size, last change.
      status                  Shows where every rank of a run is, or was when it
                              ended.
      compare                 Tells where two runs part: settings, losses, digests,
                              checkpoints.
      report                  Draws loss against work, tokens and wall time, of one
                              run or several.
      tasks                   Shows what runs over tasks have learned and forgotten.

    CHECKPOINT SUBCOMMANDS:
      inspect                 Shows what a checkpoint holds: step, sizes, tensors,
                              slots, history, settings.
      verify                  Checks that checkpoints are whole.
      digest                  Prints a fingerprint of every slot and of the whole
                              state.
      diff                    Tells where two checkpoints differ, to the element.
      log                     Tells how a checkpoint came to be: phases, resumes,
                              reshards; oldest first.
      reshard                 Cuts a checkpoint for another number of ranks.
      grow                    Grows the model of a checkpoint, with its optimizer,
                              into a new checkpoint.
      repair                  Rebuilds one lost or damaged shard of a checkpoint
                              from its parity.
      recover                 Rebuilds a lost or damaged manifest of a checkpoint
                              from its shards.
      export                  Writes weights for other software: all as
                              safetensors, or one tensor as .npy.
      import                  Makes a checkpoint of a safetensors file, for a run
                              to start from.

    MACHINE SUBCOMMANDS:
      bench                   Measures speed on this machine.

      See 'espalier help <subcommand>' for detailed help.
    $ espalier train --help
    OVERVIEW: Trains what a recipe says, or goes on with --resume.

    Writes RUN/metrics.jsonl, RUN/checkpoints and RUN/flight (see `espalier
    status`). Under mpirun or srun it takes its place among the job's ranks;
    otherwise all ranks are threads of this process. The result is the same.

    SIGTERM and SIGUSR1 save a checkpoint at the next step and end with exit code
    75; --resume goes on from there, on any number of ranks and at any stage.

    USAGE: espalier train <recipe> [--set <key.path=value> ...] [--ranks <n>] [--cluster <file>] [--run <dir>] [--resume] [--allow <key> ...] [--break-lock] [--deadline <seconds>] [--trace] [--trace-steps <n>]

    ARGUMENTS:
      <recipe>                The recipe, a YAML file.

    OPTIONS:
      --set <key.path=value>  Changes a setting, as stage=3 or
                              schedule.0.train.steps=20; may be repeated.
      --ranks <n>             Ranks, as threads of this process (default: the
                              cluster file's, else 1). Under mpirun or srun the job
                              has them already.
      --cluster <file>        A cluster file: ranks, deadlines, threads.
      --run <dir>             The run directory (default: runs/ and the recipe's
                              name without its ending).
      --resume                Go on from the newest valid checkpoint of the run
                              directory.
      --allow <key>           Resume although this setting has changed, or 'data';
                              may be repeated.
      --break-lock            Take the run from a trainer on another host that is
                              known to be dead.
      --deadline <seconds>    Seconds that a rank which others wait for may stand
                              still before the run is ended with its name; 0 = for
                              ever (default: the cluster file's, else 60).
      --trace                 Write RUN/trace.json: what all ranks did, on one
                              clock, for ui.perfetto.dev or chrome://tracing.
      --trace-steps <n>       Steps that the trace covers. (default: 50)
      -h, --help              Show help information.

    $ espalier evaluate --help
    OVERVIEW: Measures a checkpoint on its validation set: loss, bits per byte,
    accuracy.

    Settings and data are those that the run had; --set changes them, as --set
    data.text.validation=other.txt or --set evaluate.batches=0. The figures do not
    depend on the number of ranks.

    USAGE: espalier evaluate <checkpoint> [--set <key.path=value> ...] [--ranks <n>] [--cluster <file>] [--json]

    ARGUMENTS:
      <checkpoint>            The folder of a checkpoint, or a run directory, which
                              stands for its newest valid checkpoint.

    OPTIONS:
      --set <key.path=value>  Changes a setting, as stage=3 or
                              schedule.0.train.steps=20; may be repeated.
      --ranks <n>             Ranks, as threads of this process (default: the
                              cluster file's, else 1). Under mpirun or srun the job
                              has them already.
      --cluster <file>        A cluster file: ranks, deadlines, threads.
      --json                  Print JSON.
      -h, --help              Show help information.

    $ espalier sample --help
    OVERVIEW: Lets a language model continue a text.

    Prints the prompt and what the model writes after it, as UTF-8; bytes that are
    none become �. The same seed gives the same text.

    USAGE: espalier sample <checkpoint> --prompt <text> [--tokens <n>] [--temperature <t>] [--seed <s>]

    ARGUMENTS:
      <checkpoint>            The folder of a checkpoint, or a run directory, which
                              stands for its newest valid checkpoint.

    OPTIONS:
      --prompt <text>         The text to go on from.
      --tokens <n>            Bytes to write. (default: 256)
      --temperature <t>       How daring: 0 always takes the likeliest byte, 1 the
                              model's own odds. (default: 0.8)
      --seed <s>              Keys the random numbers. (default: 1)
      -h, --help              Show help information.

    $ espalier init --help
    OVERVIEW: Writes a recipe with a comment for every option.

    Everything in it is a default or may be left out; keep what you change.

    USAGE: espalier init [<file>] [--model <name>]

    ARGUMENTS:
      <file>                  The file to write (default: standard output); one
                              that exists is left alone.

    OPTIONS:
      --model <name>          The model. (default: decoder)
      -h, --help              Show help information.

    $ espalier check --help
    OVERVIEW: Reads a recipe, its data and the shapes of its model without
    training.

    Prints what `train` would train; ends with exit code 1 where it would refuse.

    USAGE: espalier check <recipe> [--set <key.path=value> ...]

    ARGUMENTS:
      <recipe>                The recipe, a YAML file.

    OPTIONS:
      --set <key.path=value>  Changes a setting, as stage=3 or
                              schedule.0.train.steps=20; may be repeated.
      -h, --help              Show help information.

    $ espalier plan --help
    OVERVIEW: Tells what a run will need: memory, traffic, work, size of a
    checkpoint.

    Computed from the shapes alone; nothing is trained and no rank is started.
    Activations are not in it.

    USAGE: espalier plan <recipe> [--set <key.path=value> ...] [--ranks <n>] [--stage <s>] [--cluster <file>] [--json]

    ARGUMENTS:
      <recipe>                The recipe, a YAML file.

    OPTIONS:
      --set <key.path=value>  Changes a setting, as stage=3 or
                              schedule.0.train.steps=20; may be repeated.
      --ranks <n>             Ranks (default: the cluster file's, else 1).
      --stage <s>             ZeRO stage instead of the recipe's.
      --cluster <file>        A cluster file, whose memory is compared.
      --json                  Print JSON.
      -h, --help              Show help information.

    $ espalier data --help
    OVERVIEW: Shows data: counts, bytes, first samples.

    A recipe (*.yaml) shows its data as its model reads them, and its tasks. A
    folder of images, as IDX, .npy or raw arrays, is opened as such; any other path
    as text: a file, a folder or a quoted pattern, plain or zstd.

    USAGE: espalier data <path-or-recipe> [--set <key.path=value> ...] [--samples <n>] [--json]

    ARGUMENTS:
      <path-or-recipe>        A text, a folder of images, or a recipe.

    OPTIONS:
      --set <key.path=value>  Changes a setting, as stage=3 or
                              schedule.0.train.steps=20; may be repeated.
      --samples <n>           How many samples to show. (default: 3)
      --json                  Print JSON.
      -h, --help              Show help information.

    $ espalier list --help
    OVERVIEW: Lists the models, optimizers, growth operators, continual methods and
    data sets that a recipe may name.

    USAGE: espalier list [<kind>] [--json]

    ARGUMENTS:
      <kind>                  Only these: models, optimizers, growth, methods or
                              data. (values: models, optimizers, growth, methods,
                              data)

    OPTIONS:
      --json                  Print JSON.
      -h, --help              Show help information.

    $ espalier describe --help
    OVERVIEW: Explains a model, an optimizer, a growth operator, a method, a data
    set or a part of a recipe: options, defaults, units, paper.

    Without a name it explains the whole recipe; 'cluster' explains cluster files.

    USAGE: espalier describe [<name>] [--json]

    ARGUMENTS:
      <name>                  As in `espalier list`, or a key of a recipe, such as
                              batch or schedule.

    OPTIONS:
      --json                  Print JSON.
      -h, --help              Show help information.

    $ espalier inspect --help
    OVERVIEW: Shows what a checkpoint holds: step, sizes, tensors, slots, history,
    settings.

    Reads the manifest and the ends of the shards, not their contents: see `verify
    --full` for those.

    USAGE: espalier inspect <checkpoint> [--json]

    ARGUMENTS:
      <checkpoint>            The folder of a checkpoint, or a run directory, which
                              stands for its newest valid checkpoint.

    OPTIONS:
      --json                  Print JSON.
      -h, --help              Show help information.

    $ espalier verify --help
    OVERVIEW: Checks that checkpoints are whole.

    Checks COMMIT, the manifest, and header, index and footer of every shard; with
    --full also every chunk. A run directory stands for all its checkpoints. Ends
    with exit code 1 if anything is wrong, and names every faulty file, tensor and
    slot.

    USAGE: espalier verify <checkpoint> [--full]

    ARGUMENTS:
      <checkpoint>            The folder of a checkpoint, or a run directory, which
                              stands for its newest valid checkpoint.

    OPTIONS:
      --full                  Read and check every byte.
      -h, --help              Show help information.

    $ espalier digest --help
    OVERVIEW: Prints a fingerprint of every slot and of the whole state.

    One line for each slot, 'parameter/slot HEX', and last 'total HEX'. Two states
    are the same to the last bit if and, for all that is likely, only if their
    totals are; ranks and stage do not matter. Every byte is read and checked first.

    USAGE: espalier digest <checkpoint> [--json]

    ARGUMENTS:
      <checkpoint>            The folder of a checkpoint, or a run directory, which
                              stands for its newest valid checkpoint.

    OPTIONS:
      --json                  Print JSON.
      -h, --help              Show help information.

    $ espalier reshard --help
    OVERVIEW: Cuts a checkpoint for another number of ranks.

    Any number of ranks resumes from any checkpoint as it is; shards of one's own
    are read faster by many ranks, and can be moved to where each rank runs. Needs
    neither model nor data, and 64 MiB a worker whatever the size. TO is the folder
    of the new checkpoint, or a run directory; nothing is overwritten. Ends by
    comparing the digest of every slot. Under launch/mpirun -n N the ranks share
    the work.

    USAGE: espalier reshard <checkpoint> <to> --ranks <n> [--stage <s>] [--workers <n>] [--json]

    ARGUMENTS:
      <checkpoint>            The folder of a checkpoint, or a run directory, which
                              stands for its newest valid checkpoint.
      <to>                    The new checkpoint, or a run directory for it.

    OPTIONS:
      --ranks <n>             Shards of the new checkpoint.
      --stage <s>             ZeRO stage that it names (default: that of the old
                              one).
      --workers <n>           Threads, each with a shard at a time (default: a core
                              each).
      --json                  Print JSON.
      -h, --help              Show help information.

    $ espalier grow --help
    OVERVIEW: Grows the model of a checkpoint, with its optimizer, into a new
    checkpoint.

    The same growth as a phase of a schedule, to the same bits, without a run:
    --operator and --to say what `operator` and `to` say in a recipe. TO is the
    folder of the new checkpoint, or a run directory; nothing is overwritten.
    Memory is one weight of the old model, whatever the size. Under launch/mpirun
    -n N the ranks share the work. Prints the lines for a recipe that goes on from
    there.

    USAGE: espalier grow <checkpoint> <to> --operator <name> [--to <key=value> ...] [--state <state>] [--ranks <n>] [--stage <s>] [--json]

    ARGUMENTS:
      <checkpoint>            The folder of a checkpoint, or a run directory, which
                              stands for its newest valid checkpoint.
      <to>                    The new checkpoint, or a run directory for it.

    OPTIONS:
      --operator <name>       How: a growth operator, or one with options, as
                              'stack: { remainder: top }'.
      --to <key=value>        An option of the model with its new value; may be
                              repeated.
      --state <state>         What becomes of the optimizer's slots: asymmetric,
                              transport or dropAll. (default: asymmetric)
      --ranks <n>             Shards of the new checkpoint (default: as many).
      --stage <s>             ZeRO stage that it names (default: that of the old
                              one).
      --json                  Print JSON.
      -h, --help              Show help information.

    $ espalier diff --help
    OVERVIEW: Tells where two checkpoints differ, to the element.

    Compares digests of slots, and reads the elements of the first that differ.
    Ranks, stage and layout do not matter. Settings and training state are told
    too, but do not decide. Exit code: 0 if all tensors have the same bits, 1 if
    not, 2 for trouble.

    USAGE: espalier diff <checkpoint> <checkpoint> [--slots <n>] [--json]

    ARGUMENTS:
      <checkpoint>            A checkpoint, or a run directory for its newest.
      <checkpoint>            Another.

    OPTIONS:
      --slots <n>             Differing slots whose elements are read, from the
                              first; 0 = all. (default: 5)
      --json                  Print JSON.
      -h, --help              Show help information.

    $ espalier log --help
    OVERVIEW: Tells how a checkpoint came to be: phases, resumes, reshards; oldest
    first.

    Everything stands in the checkpoint itself and travels with it.

    USAGE: espalier log <checkpoint> [--json]

    ARGUMENTS:
      <checkpoint>            The folder of a checkpoint, or a run directory, which
                              stands for its newest valid checkpoint.

    OPTIONS:
      --json                  Print JSON.
      -h, --help              Show help information.

    $ espalier repair --help
    OVERVIEW: Rebuilds one lost or damaged shard of a checkpoint from its parity.

    For checkpoints that were saved with save: { parity: true }. Reads every byte
    first; the new file is checked against the manifest before it takes its place.
    With two files lost nothing is changed. A run directory stands for all its
    checkpoints.

    USAGE: espalier repair <checkpoint> [--json]

    ARGUMENTS:
      <checkpoint>            The folder of a checkpoint, or a run directory, which
                              stands for its newest valid checkpoint.

    OPTIONS:
      --json                  Print JSON.
      -h, --help              Show help information.

    $ espalier recover --help
    OVERVIEW: Rebuilds a lost or damaged manifest of a checkpoint from its shards.

    Reads every byte of the shards, which must all be there and whole, and writes
    MANIFEST.json and COMMIT as they were. What was left of them is kept under
    another name; a manifest that is good is never touched.

    USAGE: espalier recover <folder> [--json]

    ARGUMENTS:
      <folder>                The folder of the checkpoint.

    OPTIONS:
      --json                  Print JSON.
      -h, --help              Show help information.

    $ espalier export --help
    OVERVIEW: Writes weights for other software: all as safetensors, or one tensor
    as .npy.

    The ending of FILE decides which. Nothing is written over a file that exists.
    f32 keeps every bit; bf16 and f16 round to nearest, ties to even, and what is
    too large becomes infinite, which is counted. Slots other than value are called
    name@slot.

    USAGE: espalier export <checkpoint> <file> [--slots <names>] [--dtype <dtype>] [--names <table>] [--tensor <name>] [--slot <name>] [--json]

    ARGUMENTS:
      <checkpoint>            The folder of a checkpoint, or a run directory, which
                              stands for its newest valid checkpoint.
      <file>                  The file to write: *.safetensors or *.npy.

    OPTIONS:
      --slots <names>         The slots to write, separated by commas. (default:
                              value)
      --dtype <dtype>         The type of the elements. (values: f32, bf16, f16;
                              default: f32)
      --names <table>         Whose names the tensors have: espalier, or a table of
                              the model's (decoder: llama). (default: espalier)
      --tensor <name>         For .npy: the tensor.
      --slot <name>           For .npy: its slot (default: value).
      --json                  Print JSON.
      -h, --help              Show help information.

    $ espalier import --help
    OVERVIEW: Makes a checkpoint of a safetensors file, for a run to start from.

    The recipe says which model the weights are for; F32, F16 and BF16 are widened
    exactly. A run begins from it with `start: { from: TO, slots: [value] }`.
    Everything that is missing, superfluous or of another shape is named.

    USAGE: espalier import <file> <to> --recipe <recipe> [--set <key.path=value> ...] [--names <table>] [--json]

    ARGUMENTS:
      <file>                  A safetensors file.
      <to>                    The folder of the checkpoint to make.

    OPTIONS:
      --recipe <recipe>       The recipe whose model it is.
      --set <key.path=value>  Changes a setting, as stage=3 or
                              schedule.0.train.steps=20; may be repeated.
      --names <table>         Whose names the tensors have: espalier, or a table of
                              the model's (default: what the file says, else
                              espalier).
      --json                  Print JSON.
      -h, --help              Show help information.

    $ espalier bench --help
    OVERVIEW: Measures speed on this machine.

    Ratios of runs in turn on an idle machine carry over to other machines;
    absolute times do not.

    USAGE: espalier bench <subcommand>

    OPTIONS:
      -h, --help              Show help information.

    SUBCOMMANDS:
      step                    Times whole training steps on their real path,
                              without saving or evaluation.
      kernels                 Times single operations, forward and backward, at the
                              shapes of a decoder's block.
      collectives             Times the ordered sum over all ranks, in turn with
                              MPI's own.
      overlap                 Tells how much of a reduction is hidden behind
                              computing that takes as long.
      checkpoint              Times what a save and a load do, and how small
                              checkpoints become.
      growth                  Times a growth in the middle of training, beside
                              steps before and after, and its memory.
      optimizer               Times Muon's Newton–Schulz, in both forms, in turn
                              with plain matrix products.

      See 'espalier help bench <subcommand>' for detailed help.
    $ espalier bench step --help
    OVERVIEW: Times whole training steps on their real path, without saving or
    evaluation.

    Without --recipe it is the reference decoder of Benchmarks/README.md: width
    384, 6 layers, 6 heads, context 256, 8 samples, one lane. Under launch/mpirun
    -n N it takes its place among the job's ranks.

    USAGE: espalier bench step [--recipe <file>] [--optimizer <name>] [--set <key.path=value> ...] [--ranks <n>] [--cluster <file>] [--steps <steps>] [--warmup <warmup>] [--json]

    OPTIONS:
      --recipe <file>         A recipe instead of the reference decoder.
      --optimizer <name>      The reference decoder's optimizer, with its defaults.
                              (default: adamw)
      --set <key.path=value>  Changes a setting, as stage=3 or
                              schedule.0.train.steps=20; may be repeated.
      --ranks <n>             Ranks, as threads of this process (default: the
                              cluster file's, else 1). Under mpirun or srun the job
                              has them already.
      --cluster <file>        A cluster file: ranks, deadlines, threads.
      --steps <steps>         Counted steps. (default: 12)
      --warmup <warmup>       Steps before them. (default: 3)
      --json                  Print JSON.
      -h, --help              Show help information.

    $ espalier bench kernels --help
    OVERVIEW: Times single operations, forward and backward, at the shapes of a
    decoder's block.

    USAGE: espalier bench kernels [--batch <batch>] [--time <time>] [--heads <heads>] [--head-width <head-width>] [--repeats <repeats>] [--json]

    OPTIONS:
      --batch <batch>         Samples. (default: 8)
      --time <time>           Tokens of a sample. (default: 256)
      --heads <heads>         Heads. (default: 6)
      --head-width <head-width>
                              Width of a head. (default: 64)
      --repeats <repeats>     Runs of each operation; the median counts. (default:
                              9)
      --json                  Print JSON.
      -h, --help              Show help information.

    $ espalier bench overlap --help
    OVERVIEW: Tells how much of a reduction is hidden behind computing that takes
    as long.

    Every rank reduces on its communication thread while it multiplies matrices on
    its own: reduction alone, computing alone, both at once, in turn. Between hosts
    most of a reduction is waiting, which costs no processor; on one host it copies
    and adds, and hides only where there are more cores than ranks. Under
    launch/mpirun -n N it takes its place among the job's ranks.

    USAGE: espalier bench overlap [--ranks <n>] [--mebibytes <MiB>] [--rounds <rounds>] [--json]

    OPTIONS:
      --ranks <n>             Ranks, as threads of this process (default: 2). Under
                              mpirun the job has them already.
      --mebibytes <MiB>       Size of what is reduced. (default: 16)
      --rounds <rounds>       Counted rounds; the median counts. (default: 7)
      --json                  Print JSON.
      -h, --help              Show help information.

    $ espalier bench checkpoint --help
    OVERVIEW: Times what a save and a load do, and how small checkpoints become.

    First every operation on its own, on a state of AdamW whose numbers are
    distributed as trained ones are: GB of elements (verify: of stored bytes) a
    second of one core. Then whole saves and loads by all ranks. Under
    launch/mpirun -n N it takes its place among the job's ranks.

    USAGE: espalier bench checkpoint [--ranks <n>] [--cluster <file>] [--parameters <parameters>] [--repeats <repeats>] [--directory <folder>] [--sync <sync>] [--copied] [--compression <compression>] [--whole] [--json]

    OPTIONS:
      --ranks <n>             Ranks, as threads of this process (default: the
                              cluster file's, else 1). Under mpirun or srun the job
                              has them already.
      --cluster <file>        A cluster file: ranks, deadlines, threads.
      --parameters <parameters>
                              Parameters of all ranks together; each has three
                              floats in the state. (default: 8388608)
      --repeats <repeats>     Counted rounds; the medians count. (default: 5)
      --directory <folder>    Where to write; nothing is left behind. (default: .)
      --sync <sync>           What a save waits for: none, files (as in training)
                              or all of the file system. (values: none, files, all;
                              default: files)
      --copied                Whole saves copy the state first, as in the middle of
                              training; without, as at its end.
      --compression <compression>
                              How chunks are stored: auto, zstd or none. (values:
                              auto, zstd, none; default: auto)
      --whole                 Leaves out the operations on their own.
      --json                  Print JSON.
      -h, --help              Show help information.

    $ espalier bench growth --help
    OVERVIEW: Times a growth in the middle of training, beside steps before and
    after, and its memory.

    Without --recipe a decoder of 13 million parameters (width 384, 6 layers) grows
    to one of 50 million (width 768) by copies. Under launch/mpirun -n N it takes
    its place among the job's ranks, and the resident set is that of one rank.

    USAGE: espalier bench growth [--recipe <file>] [--set <key.path=value> ...] [--ranks <n>] [--cluster <file>] [--steps <steps>] [--json]

    OPTIONS:
      --recipe <file>         A recipe with a growth instead.
      --set <key.path=value>  Changes a setting, as stage=3 or
                              schedule.0.train.steps=20; may be repeated.
      --ranks <n>             Ranks, as threads of this process (default: the
                              cluster file's, else 1). Under mpirun or srun the job
                              has them already.
      --cluster <file>        A cluster file: ranks, deadlines, threads.
      --steps <steps>         Counted steps before and after. (default: 3)
      --json                  Print JSON.
      -h, --help              Show help information.

    $ espalier compare --help
    OVERVIEW: Tells where two runs part: settings, losses, digests, checkpoints.

    Losses are compared bit by bit at the steps that both journals have. Digests
    are in a journal where the recipe has log: { digestEvery: N }; they name the
    first step and the segments that differ. Where both runs have a checkpoint of
    the same step, the first slot that differs is named. --set log.digestEvery=1
    finds the step exactly.

    USAGE: espalier compare <run> <run> [--json]

    ARGUMENTS:
      <run>                   A run directory.
      <run>                   Another.

    OPTIONS:
      --json                  Print JSON.
      -h, --help              Show help information.

    $ espalier report --help
    OVERVIEW: Draws loss against work, tokens and wall time, of one run or several.

    Writes one HTML file with the pictures in it: report.html in the run directory,
    or in the current folder for several runs, which are drawn over each other.
    Growths are marked with their jump, and a table says what every phase took.
    Every run writes its own report when it ends.

    USAGE: espalier report <run> ... [--output <file>]

    ARGUMENTS:
      <run>                   Run directories.

    OPTIONS:
      -o, --output <file>     The file to write.
      -h, --help              Show help information.

    $ espalier tasks --help
    OVERVIEW: Shows what runs over tasks have learned and forgotten.

    Prints the accuracy on every task after every task and all measures of it, each
    with its convention, of one run or several; runs that differ in the seed alone
    are summed up as mean ± sample standard deviation. Draws the same into one HTML
    file: tasks.html in the run directory, or in the current folder for several
    runs. With --json the page is only written to a file that is named.

    USAGE: espalier tasks <run> ... [--output <file>] [--csv <file>] [--json]

    ARGUMENTS:
      <run>                   Run directories, or files such as their tasks.json.

    OPTIONS:
      -o, --output <file>     The page to write.
      --csv <file>            A table to write: a line for each moment, task and
                              view.
      --json                  Print JSON.
      -h, --help              Show help information.

    $ espalier runs --help
    OVERVIEW: Lists the runs below a folder: state, step, loss, size, last change.

    A run is 'running' while the process that holds its lock lives, 'finished' or
    'stopped' where its journal says so, and 'failed' otherwise. 'elsewhere' is a
    run whose lock another host holds. Nothing is written and no lock is taken.

    USAGE: espalier runs [<dir>] [--json]

    ARGUMENTS:
      <dir>                   A folder with run directories, or one of them.
                              (default: runs)

    OPTIONS:
      --json                  Print JSON.
      -h, --help              Show help information.

    $ espalier bench collectives --help
    OVERVIEW: Times the ordered sum over all ranks, in turn with MPI's own.

    One run of floats a rank, summed onto every rank, as a step at ZeRO stage 0
    does. Under launch/mpirun -n N it takes its place among the job's ranks and
    measures MPI_Allreduce beside; in one process there is no MPI to compare with.
    Times are medians on rank 0 from a barrier on; GB/s are bytes of the run by the
    time.

    USAGE: espalier bench collectives [--ranks <n>] [--cluster <file>] [--largest <largest>] [--repeats <repeats>] [--wire <format>] [--json]

    OPTIONS:
      --ranks <n>             Ranks, as threads of this process (default: the
                              cluster file's, else 1). Under mpirun or srun the job
                              has them already.
      --cluster <file>        A cluster file: ranks, deadlines, threads.
      --largest <largest>     The largest run, in MiB; sizes go up from 4 B in
                              steps of four. (default: 64)
      --repeats <repeats>     Counted turns at 1 MiB; small sizes have more, large
                              ones fewer. (default: 30)
      --wire <format>         How sums travel between hosts: float32 or bfloat16.
                              (default: float32)
      --json                  Print JSON.
      -h, --help              Show help information.

    $ espalier status --help
    OVERVIEW: Shows where every rank of a run is, or was when it ended.

    Reads RUN/flight, which survives kill -9, and RUN/verdict.txt; disturbs
    nothing. Whether a process lives can be told for ranks of this host; for others
    it is told from the age of their last sign of life.

    USAGE: espalier status <run> [--last <n>] [--json]

    ARGUMENTS:
      <run>                   The run directory.

    OPTIONS:
      --last <n>              Collectives to show of each rank. (default: 1)
      --json                  Print JSON.
      -h, --help              Show help information.

    """#
}
