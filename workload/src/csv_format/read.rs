//! Rows into a workload.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::time::Duration;

use csv::{ByteRecord, ReaderBuilder};
use tarazu_layout::{JobId, NodeId, Time};

use super::cells::{Column, Header, Kind, Row};
use super::error::{CellProblem, CsvError, shown};
use super::lines::Lines;
use super::{FORMAT, GROUP_MEMBERS_MAX, layout_text};
use crate::limits::{
    FILES_MAX, GROUP_RANK_PAIRS_MAX, JOBS_MAX, MOVED_BYTES_MAX, NODES_MAX, OPS_MAX, RANKS_MAX,
};
use crate::{Action, File, FileId, GroupId, Job, Op, Rank, RankId, Workload};

/// Stands for "all ranks of the job" until all ranks are known; above every declared group.
const ALL_RANKS: GroupId = GroupId(u32::MAX);

pub(super) fn read(input: impl Read, name: &str) -> Result<Workload, CsvError> {
    let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(Lines::new(input));
    let mut record = ByteRecord::new();
    let mut next = |record: &mut ByteRecord| -> Result<Option<u64>, CsvError> {
        reader.get_mut().begin_record();
        let outcome = reader.read_byte_record(record);
        let lines = reader.get_ref();
        check_marker(lines.marker(), name)?;
        match outcome {
            Ok(more) => Ok(more.then(|| lines.record_line())),
            Err(_) if lines.too_long() => {
                Err(CsvError::Record { name: name.to_owned(), line: lines.record_line() })
            }
            Err(error) => Err(CsvError::Read { name: name.to_owned(), source: error.into() }),
        }
    };
    let Some(header_line) = next(&mut record)? else {
        return Err(CsvError::Empty { name: name.to_owned() });
    };
    let header = Header::new(&record, name, header_line)?;
    let mut draft = Draft::default();
    while let Some(line) = next(&mut record)? {
        draft.take(&Row::new(&header, &record, name, line)?)?;
    }
    let workload = draft.finish(name)?;
    workload.check().map_err(|source| CsvError::Check { name: name.to_owned(), source })?;
    Ok(workload)
}

/// A comment in line 1 that names a version must name this one; other comments are free.
fn check_marker(marker: Option<&str>, name: &str) -> Result<(), CsvError> {
    // A spreadsheet pads the line with commas.
    let Some(marker) = marker.map(|text| text.trim().trim_end_matches(',')) else { return Ok(()) };
    if marker.starts_with("tarazu.") && marker != FORMAT {
        return Err(CsvError::Format { name: name.to_owned(), found: shown(marker) });
    }
    Ok(())
}

#[derive(Default)]
struct Draft {
    jobs: Vec<JobDraft>,
    files: Vec<FileDraft>,
    // Only looked up, never walked, so their random order does not show.
    job_numbers: HashMap<u64, usize>,
    file_numbers: HashMap<String, u32>,
    ranks: u64,
    ops: u64,
    moved_bytes: u64,
    group_members: u64,
}

struct JobDraft {
    id: u64,
    described: bool,
    name: String,
    uid: u32,
    start: Time,
    /// A map, so that one row with a huge rank does not size a table.
    ranks: BTreeMap<u32, RankDraft>,
    groups: Vec<Vec<RankId>>,
    syncs_all_ranks: bool,
}

struct RankDraft {
    first_line: u64,
    described: bool,
    node: Option<u32>,
    /// When its last operation began, and when it ended as far as the rows say.
    last_start: u64,
    last_end: u64,
    ops: Vec<Op>,
}

struct FileDraft {
    file: File,
    described: bool,
    exists: Option<bool>,
    created: bool,
    opened: bool,
    read: bool,
    written: bool,
}

impl Draft {
    fn take(&mut self, row: &Row) -> Result<(), CsvError> {
        match row.text(Column::Record)? {
            None | Some("op") => self.take_op(row),
            Some("job") => self.take_job(row),
            Some("rank") => self.take_rank(row),
            Some("group") => self.take_group(row),
            Some("file") => self.take_file(row),
            Some(other) => {
                let what = CellProblem::Word { found: shown(other), known: "job, rank, group, file and op" };
                Err(row.error(Column::Record, what))
            }
        }
    }

    fn take_job(&mut self, row: &Row) -> Result<(), CsvError> {
        row.refuse_unused(Kind::Job)?;
        let start = Time(row.nanos(Column::Start)?.unwrap_or(0));
        let uid = row.number(Column::Uid, u64::from(u32::MAX))?.unwrap_or(0) as u32;
        let name = row.text(Column::Name)?.unwrap_or_default().to_owned();
        let job = self.job(row, Kind::Job)?;
        if job.described {
            return Err(row.error(Column::Job, CellProblem::Repeated));
        }
        (job.described, job.start, job.uid, job.name) = (true, start, uid, name);
        Ok(())
    }

    fn take_rank(&mut self, row: &Row) -> Result<(), CsvError> {
        row.refuse_unused(Kind::Rank)?;
        let rank = self.rank(row, Kind::Rank)?;
        if rank.described {
            return Err(row.error(Column::Rank, CellProblem::Repeated));
        }
        rank.described = true;
        Ok(())
    }

    fn take_group(&mut self, row: &Row) -> Result<(), CsvError> {
        row.refuse_unused(Kind::Group)?;
        let found = row.number(Column::Group, u64::MAX)?;
        let found = row.need(found, Column::Group, Kind::Group)?;
        let text = row.need(row.text(Column::Ranks)?, Column::Ranks, Kind::Group)?;
        let free = GROUP_MEMBERS_MAX - self.group_members;
        let members = parse_ranks(text, free).map_err(|problem| match problem {
            RanksProblem::Malformed => row.error(Column::Ranks, CellProblem::Ranks { found: shown(text) }),
            RanksProblem::TooMany => row.too_many("members of groups", GROUP_MEMBERS_MAX),
        })?;
        self.group_members += members.len() as u64;
        let job = self.job(row, Kind::Group)?;
        let expected = job.groups.len() as u64;
        if found != expected {
            return Err(row.error(Column::Group, CellProblem::GroupOrder { found, expected }));
        }
        job.groups.push(members);
        Ok(())
    }

    fn take_file(&mut self, row: &Row) -> Result<(), CsvError> {
        row.refuse_unused(Kind::File)?;
        let exists = match row.text(Column::Exists)? {
            None => None,
            Some("true" | "True" | "TRUE" | "1") => Some(true),
            Some("false" | "False" | "FALSE" | "0") => Some(false),
            Some(other) => {
                let what = CellProblem::Word { found: shown(other), known: "true and false" };
                return Err(row.error(Column::Exists, what));
            }
        };
        let layout = row.text(Column::Layout)?.map(layout_text::parse).transpose();
        let layout = layout.map_err(|problem| row.error(Column::Layout, CellProblem::Layout(problem)))?;
        let id = self.file(row, Kind::File)?;
        let draft = &mut self.files[id.0 as usize];
        if draft.described {
            return Err(row.error(Column::File, CellProblem::Repeated));
        }
        (draft.described, draft.exists, draft.file.logged) = (true, exists, layout);
        Ok(())
    }

    fn take_op(&mut self, row: &Row) -> Result<(), CsvError> {
        let verb = row.need(row.text(Column::Op)?, Column::Op, Kind::OpOnFile)?;
        let kind = match verb {
            "create" | "open" | "fsync" | "close" => Kind::OpOnFile,
            "read" | "write" => Kind::OpWithBytes,
            "sync" => Kind::OpOnGroup,
            other => {
                let known = "create, open, read, write, fsync, close and sync";
                return Err(row.error(Column::Op, CellProblem::Word { found: shown(other), known }));
            }
        };
        row.refuse_unused(kind)?;
        if self.ops == OPS_MAX {
            return Err(row.too_many("operations", OPS_MAX));
        }
        self.ops += 1;
        let action = match kind {
            Kind::OpOnGroup => self.sync(row)?,
            Kind::OpWithBytes => self.transfer(row, verb)?,
            _ => self.file_action(row, verb)?,
        };
        let rank = self.rank(row, kind)?;
        let op = rank.time(row, action)?;
        rank.ops.push(op);
        Ok(())
    }

    fn sync(&mut self, row: &Row) -> Result<Action, CsvError> {
        let group = row.number(Column::Group, u64::MAX)?;
        let job = self.job(row, Kind::OpOnGroup)?;
        let Some(found) = group else {
            job.syncs_all_ranks = true;
            return Ok(Action::Sync { group: ALL_RANKS });
        };
        if found >= job.groups.len() as u64 {
            return Err(row.error(Column::Group, CellProblem::UnknownGroup { found }));
        }
        Ok(Action::Sync { group: GroupId(found as u32) })
    }

    fn transfer(&mut self, row: &Row, verb: &str) -> Result<Action, CsvError> {
        let kind = Kind::OpWithBytes;
        let offset = row.need(row.number(Column::Offset, u64::MAX)?, Column::Offset, kind)?;
        // `Workload::check` would find these two as well, but it does not know the line.
        let bytes = row.number(Column::Bytes, u64::MAX - offset)?;
        let bytes = row.need(bytes, Column::Bytes, kind)?;
        if bytes == 0 {
            return Err(row.error(Column::Bytes, CellProblem::NoBytes));
        }
        self.moved_bytes = self.moved_bytes.saturating_add(bytes);
        if self.moved_bytes > MOVED_BYTES_MAX {
            return Err(row.too_many("bytes moved", MOVED_BYTES_MAX));
        }
        let file = self.file(row, kind)?;
        let draft = &mut self.files[file.0 as usize];
        if verb == "read" {
            draft.read = true;
            return Ok(Action::Read { file, offset, bytes });
        }
        draft.written = true;
        Ok(Action::Write { file, offset, bytes })
    }

    fn file_action(&mut self, row: &Row, verb: &str) -> Result<Action, CsvError> {
        let file = self.file(row, Kind::OpOnFile)?;
        let draft = &mut self.files[file.0 as usize];
        Ok(match verb {
            "create" => {
                draft.created = true;
                Action::Create { file }
            }
            "open" => {
                draft.opened = true;
                Action::Open { file }
            }
            "fsync" => Action::Fsync { file },
            _ => Action::Close { file },
        })
    }

    fn job(&mut self, row: &Row, kind: Kind) -> Result<&mut JobDraft, CsvError> {
        let number = self.job_number(row, kind)?;
        Ok(&mut self.jobs[number])
    }

    fn job_number(&mut self, row: &Row, kind: Kind) -> Result<usize, CsvError> {
        let id = row.need(row.number(Column::Job, u64::MAX)?, Column::Job, kind)?;
        let next = self.jobs.len();
        let number = *self.job_numbers.entry(id).or_insert(next);
        if number == next {
            if next as u64 == JOBS_MAX {
                return Err(row.too_many("jobs", JOBS_MAX));
            }
            self.jobs.push(JobDraft::new(id));
        }
        Ok(number)
    }

    fn rank(&mut self, row: &Row, kind: Kind) -> Result<&mut RankDraft, CsvError> {
        let number = row.number(Column::Rank, RANKS_MAX - 1)?;
        let number = row.need(number, Column::Rank, kind)? as u32;
        let node = row.number(Column::Node, u64::from(NODES_MAX - 1))?.map(|node| node as u32);
        let job = self.job_number(row, kind)?;
        let rank = match self.jobs[job].ranks.entry(number) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(_) if self.ranks == RANKS_MAX => return Err(row.too_many("ranks", RANKS_MAX)),
            Entry::Vacant(new) => {
                self.ranks += 1;
                new.insert(RankDraft::new(row.line))
            }
        };
        if let (Some(found), Some(earlier)) = (node, rank.node)
            && found != earlier
        {
            return Err(row.error(Column::Node, CellProblem::Node { found, earlier }));
        }
        rank.node = rank.node.or(node);
        Ok(rank)
    }

    fn file(&mut self, row: &Row, kind: Kind) -> Result<FileId, CsvError> {
        let name = row.need(row.text(Column::File)?, Column::File, kind)?;
        if let Some(number) = self.file_numbers.get(name) {
            return Ok(FileId(*number));
        }
        let number = self.files.len() as u32;
        if u64::from(number) == FILES_MAX {
            return Err(row.too_many("files", FILES_MAX));
        }
        self.file_numbers.insert(name.to_owned(), number);
        self.files.push(FileDraft::new(name));
        Ok(FileId(number))
    }

    fn finish(self, name: &str) -> Result<Workload, CsvError> {
        let jobs: Result<Vec<_>, _> = self.jobs.into_iter().map(|job| job.finish(name)).collect();
        let mut jobs = jobs?;
        jobs.sort_by_key(|job| (job.start, job.id));
        Ok(Workload { jobs, files: self.files.into_iter().map(FileDraft::finish).collect() })
    }
}

impl JobDraft {
    fn new(id: u64) -> Self {
        Self {
            id,
            described: false,
            name: String::new(),
            uid: 0,
            start: Time::ZERO,
            ranks: BTreeMap::new(),
            groups: Vec::new(),
            syncs_all_ranks: false,
        }
    }

    fn finish(mut self, name: &str) -> Result<Job, CsvError> {
        let id = self.id;
        self.refuse_gaps(name)?;
        let mut ranks = Vec::with_capacity(self.ranks.len());
        for (number, rank) in self.ranks {
            let Some(node) = rank.node else {
                let name = name.to_owned();
                return Err(CsvError::MissingNode { name, line: rank.first_line, job: id, rank: number });
            };
            ranks.push(Rank { node: NodeId(node), ops: rank.ops });
        }
        if self.syncs_all_ranks {
            let everyone: Vec<_> = (0..ranks.len() as u32).map(RankId).collect();
            let group = self.groups.iter().position(|group| *group == everyone);
            let group = group.unwrap_or_else(|| {
                self.groups.push(everyone);
                self.groups.len() - 1
            });
            name_group(&mut ranks, GroupId(group as u32));
        }
        let (groups, world) = (self.groups.len() as u64, ranks.len() as u64);
        if groups * world > GROUP_RANK_PAIRS_MAX {
            let (name, limit) = (name.to_owned(), GROUP_RANK_PAIRS_MAX);
            return Err(CsvError::GroupsTimesRanks { name, job: id, groups, ranks: world, limit });
        }
        let (name, uid, start) = (self.name, self.uid, self.start);
        Ok(Job { id: JobId(id), name, uid, start, ranks, groups: self.groups })
    }

    fn refuse_gaps(&self, name: &str) -> Result<(), CsvError> {
        let gap = (0..).zip(self.ranks.keys()).find(|(expected, found)| expected != *found);
        let (Some((missing, _)), Some((&highest, rank))) = (gap, self.ranks.last_key_value()) else {
            return Ok(());
        };
        let name = name.to_owned();
        Err(CsvError::MissingRank { name, line: rank.first_line, job: self.id, highest, missing })
    }
}

/// Gives the syncs of all ranks the number that their group got.
fn name_group(ranks: &mut [Rank], group: GroupId) {
    for op in ranks.iter_mut().flat_map(|rank| &mut rank.ops) {
        if op.action == (Action::Sync { group: ALL_RANKS }) {
            op.action = Action::Sync { group };
        }
    }
}

impl RankDraft {
    fn new(first_line: u64) -> Self {
        Self { first_line, described: false, node: None, last_start: 0, last_end: 0, ops: Vec::new() }
    }

    /// Fills in the times that the row leaves open: an operation without an end takes no time.
    fn time(&mut self, row: &Row, action: Action) -> Result<Op, CsvError> {
        let (start, think) = (row.nanos(Column::Start)?, row.nanos(Column::Think)?);
        if think.is_none() && start.is_some_and(|start| start < self.last_start) {
            return Err(row.error(Column::Start, CellProblem::Backwards));
        }
        let start = start.unwrap_or(self.last_end.saturating_add(think.unwrap_or(0)));
        let think = think.unwrap_or(start.saturating_sub(self.last_end));
        let end = row.nanos(Column::End)?.unwrap_or(start);
        if end < start {
            return Err(row.error(Column::End, CellProblem::EndBeforeStart));
        }
        (self.last_start, self.last_end) = (start, end);
        Ok(Op { start: Time(start), think: Duration::from_nanos(think), action })
    }
}

impl FileDraft {
    fn new(name: &str) -> Self {
        Self {
            file: File { name: name.to_owned(), exists: false, logged: None },
            described: false,
            exists: None,
            created: false,
            opened: false,
            read: false,
            written: false,
        }
    }

    /// A file that rows only use must have been there; one that they create or fill was not.
    fn finish(mut self) -> File {
        let used = !self.created && (self.opened || (self.read && !self.written));
        self.file.exists = self.exists.unwrap_or(used);
        self.file
    }
}

enum RanksProblem {
    Malformed,
    TooMany,
}

/// Reads `0-7 12 16-23` as at most `free` ranks.
fn parse_ranks(text: &str, free: u64) -> Result<Vec<RankId>, RanksProblem> {
    let mut ranks: Vec<RankId> = Vec::new();
    for word in text.split_whitespace() {
        let (first, last) = word.split_once('-').unwrap_or((word, word));
        let number = |text: &str| text.parse::<u32>().map_err(|_| RanksProblem::Malformed);
        let (first, last) = (number(first)?, number(last)?);
        if last < first || ranks.last().is_some_and(|previous| previous.0 >= first) {
            return Err(RanksProblem::Malformed);
        }
        if ranks.len() as u64 + u64::from(last - first) >= free {
            return Err(RanksProblem::TooMany);
        }
        ranks.extend((first..=last).map(RankId));
    }
    Ok(ranks)
}
