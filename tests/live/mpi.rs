//! An MPI program in C, four ranks, that creates its files through the library.

use std::collections::BTreeSet;

use super::*;
use tarazu_layout::hash;
use tarazu_table::{FileClass, JobName};

const RANKS: u32 = 4;
const TARGETS: u32 = 5;

/// The target that is drained before.
const DRAINED: u32 = 2;

/// What the scheduler would say.
const JOB: u64 = 4711;

/// Bytes that each rank writes, as in the program.
const BYTES: u64 = 64 * 1024;

/// Compiles the program against the header and the shared library of this build.
fn compile(place: &Place) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // Cargo puts the library where it puts this test; it is found by the name that it has when it is installed.
    let built = std::env::current_exe().unwrap().parent().unwrap().join("libtarazu.so");
    assert!(built.is_file(), "{} is not there", built.display());
    let installed = place.path("libtarazu.so.0");
    std::os::unix::fs::symlink(built, &installed).unwrap();
    let program = place.path("ranks");
    let output = Command::new("mpicc.openmpi")
        .args(["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-O1", "-I"])
        .arg(root.join("client/include"))
        .arg(root.join("tests/mpi/ranks.c"))
        .arg("-o")
        .arg(&program)
        .arg(&installed)
        .arg(format!("-Wl,-rpath,{}", place.folder.path().display()))
        .output()
        .expect("Open MPI is missing: tests/run installs it (libopenmpi-dev, openmpi-bin)");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    program
}

/// `mpirun`, ended with its ranks where the test ends before it.
struct Ranks {
    child: Child,
    said: [PathBuf; 2],
}

impl Ranks {
    fn start(place: &Place, program: &Path, run: &Path, go: Option<&Path>) -> Self {
        // Sockets of Open MPI lie here, and leave nothing behind elsewhere.
        let scratch = place.path("mpi");
        fs::create_dir_all(&scratch).unwrap();
        let said = ["mpi.out", "mpi.err"].map(|name| place.path(name));
        let [out, err] = said.each_ref().map(|path| File::create(path).unwrap());
        let child = Command::new("mpirun.openmpi")
            .args(["--oversubscribe", "--allow-run-as-root", "-np", &RANKS.to_string()])
            .arg(program)
            .arg(place.fs())
            .args(go)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("TMPDIR", &scratch)
            // Within one machine, without what a container may forbid or lack.
            .env("OMPI_MCA_btl", "self,vader")
            .env("OMPI_MCA_pml", "ob1")
            .env("OMPI_MCA_btl_vader_single_copy_mechanism", "none")
            // Ranks that wait for each other give way to others: there are fewer cores than ranks.
            .env("OMPI_MCA_mpi_yield_when_idle", "1")
            .env("TARAZU_MODE", "apply")
            .env("TARAZU_RUN_DIR", run)
            .env("TARAZU_BUDGET_US", "3600000000")
            .env("TARAZU_JOBID", "JOB_OF_THE_TEST")
            .env("JOB_OF_THE_TEST", JOB.to_string())
            .stdout(out)
            .stderr(err)
            .spawn()
            .expect("Open MPI is missing: tests/run installs it (libopenmpi-dev, openmpi-bin)");
        Self { child, said }
    }

    /// Waits for the end, which must be clean, and gives what each rank said.
    fn end(&mut self) -> Vec<Said> {
        let status = until("the end of the ranks", || self.child.try_wait().unwrap());
        let [out, err] = self.said.each_ref().map(|path| fs::read_to_string(path).unwrap());
        assert!(status.success() && err.is_empty(), "{status}\n{out}{err}");
        let lines: Vec<Said> = out.lines().map(Said::of).collect();
        assert_eq!(lines.len(), RANKS as usize, "{out}");
        lines
    }
}

impl Drop for Ranks {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            // It ends its ranks where it is asked to.
            let _ = rustix::process::kill_process(Pid::from_child(&self.child), Signal::TERM);
            let _ = self.child.wait();
        }
    }
}

/// What a rank said.
#[derive(Debug)]
struct Said {
    told: i32,
    target: u32,
    steered: bool,
}

impl Said {
    fn of(line: &str) -> Self {
        let words: Vec<&str> = line.split(' ').collect();
        let ["rank", _, "told", told, "target", target, "steered", steered] = words[..] else {
            panic!("{line:?} is no line of a rank");
        };
        Self { told: told.parse().unwrap(), target: target.parse().unwrap(), steered: steered == "1" }
    }
}

/// Every rank's file is whole, on the target that the rank said.
fn check_files(place: &Place, said: &[Said]) {
    for (rank, said) in said.iter().enumerate() {
        let file = fs::canonicalize(place.fs().join(format!("rank-{rank}.dat"))).unwrap();
        let target = fs::canonicalize(place.target(said.target)).unwrap();
        assert_eq!(file.parent(), Some(target.as_path()), "rank {rank}");
        assert_eq!(fs::metadata(file).unwrap().len(), BYTES);
    }
}

#[test]
fn four_ranks_create_through_the_library() {
    let place = Place::new(TARGETS);
    let program = compile(&place);
    let controller = Controller::start(&place, &[]);
    let osts: Vec<u32> = (0..TARGETS).collect();
    let _agent = place.agent(controller.grpc, "oss0", "agent", &osts, 1 << 49);
    let run = place.run();
    controller.settled(1);
    let _node = place.node(controller.grpc, "node", &run);
    until("a first table", || published(&run));
    controller.drain(DRAINED, "its disk is to be changed");

    let go = place.path("go");
    let mut ranks = Ranks::start(&place, &program, &run, Some(&go));
    let name = JobName {
        uid: rustix::process::geteuid().as_raw(),
        job: JobId(JOB),
        executable_hash: hash::bytes(b"ranks"),
        file: FileClass::Other,
    };
    until("the job in the node's table", || {
        let fs = controller.file_system()?;
        let bytes = fs::read(table_file(&run)).ok()?;
        let table = Published::verify(&bytes).unwrap().table;
        let entry = table.lookup(&name)?;
        (entry.worthwhile && fs.targets_excluded == 1 && Some(table.order().seq) == Some(fs.order?.seq))
            .then_some(())
    });
    assert_eq!(controller.file_system().unwrap().jobs, 1);
    fs::write(&go, "").unwrap();
    let said = ranks.end();
    eprintln!("{said:?}");
    assert!(said.iter().all(|said| said.told == 0 && said.steered), "{said:?}");
    check_files(&place, &said);
    let targets: BTreeSet<u32> = said.iter().map(|said| said.target).collect();
    assert_eq!(targets.len(), RANKS as usize, "no two ranks on one target: {said:?}");
    assert!(!targets.contains(&DRAINED), "{said:?}");
    assert_eq!(fs::read_dir(place.target(DRAINED)).unwrap().count(), 0);

    until("the word of all files, and the end of the job", || {
        let fs = controller.file_system()?;
        (fs.files_placed == u64::from(RANKS) && fs.jobs == 0).then_some(())
    });
    let open: u32 = controller.targets().values().map(|target| target.open_files).sum();
    assert_eq!(open, 0, "every file was closed");
}

#[test]
fn four_ranks_run_as_ever_where_there_is_no_tarazu() {
    let place = Place::new(TARGETS);
    let program = compile(&place);
    let mut ranks = Ranks::start(&place, &program, &place.path("no-run-dir"), None);
    let said = ranks.end();
    assert!(said.iter().all(|said| said.told != 0 && !said.steered), "{said:?}");
    check_files(&place, &said);
    assert!(!place.path("no-run-dir").exists());
}
