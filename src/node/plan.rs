//! Which table a node holds of one file system, and what an answer of the controller does to it. Pure: moments come in
//! as arguments, bytes to publish go out as values.

use tarazu_layout::{Time, hash};
use tarazu_proto::v1;
use tarazu_table::delta::{self, DeltaRefused};
use tarazu_table::{Arrival, Order, OutOfOrder, Published, Refused, Stamp, Table, accept, publish};

/// Nanoseconds of a millisecond.
const MS_NS: u64 = 1_000_000;

/// Why an answer was not taken. What the node holds stays as it is, and gets older.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotTaken {
    #[error("the answer names no order, or brings no table, delta or word")]
    Empty,
    #[error("the table: {0}")]
    Table(#[from] Refused),
    #[error("the delta: {0}; the whole table is asked for next time")]
    Delta(#[from] DeltaRefused),
    #[error("a delta came where no table is held; the whole table is asked for next time")]
    DeltaFromNothing,
    #[error(transparent)]
    Older(#[from] OutOfOrder),
    #[error("the plan {offered} is of an older term than {highest_term}, which this node has seen")]
    OlderTerm { offered: Order, highest_term: u64 },
    #[error("the table is of another file system")]
    OtherFileSystem,
    #[error("the table is not the one that the answer names (order {named}, checksum {checksum:08x})")]
    OtherTable { named: Order, checksum: u32 },
    #[error("a table was confirmed that is not held; the whole table is asked for next time")]
    ConfirmsAnother,
}

impl NotTaken {
    /// Its name in counters.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Empty => "answer_empty",
            Self::Table(_) => "table_refused",
            Self::Delta(_) | Self::DeltaFromNothing => "delta_refused",
            Self::Older(_) | Self::OlderTerm { .. } => "older_order",
            Self::OtherFileSystem => "other_file_system",
            Self::OtherTable { .. } => "other_table",
            Self::ConfirmsAnother => "confirms_another",
        }
    }
}

/// A verified table and when its view was received.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Held {
    body: Vec<u8>,
    order: Order,
    checksum: u32,
    interval_ms: u32,
    received: Time,
}

/// What a node knows of one file system's table.
#[derive(Clone, Debug)]
pub(crate) struct FsTable {
    name: String,
    name_hash: u64,
    boot_hash: u64,
    held: Option<Held>,
    highest_term: u64,
    /// What is held did not fit the controller's word: it is not named, so that a whole table comes.
    ask_whole: bool,
}

impl FsTable {
    pub(crate) fn new(name: &str, boot_hash: u64) -> Self {
        let name_hash = hash::bytes(name.as_bytes());
        Self { name: name.to_owned(), name_hash, boot_hash, held: None, highest_term: 0, ask_whole: false }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) const fn name_hash(&self) -> u64 {
        self.name_hash
    }

    /// Takes back what an earlier daemon published, so that order and term survive it. A table of another boot, or one
    /// that claims to come from later than `now`, gives its term only: its age cannot be told.
    pub(crate) fn restore(&mut self, file: &[u8], now: Time) -> Result<(), NotTaken> {
        let published = Published::verify(file)?;
        let table = &published.table;
        if table.fs().name_hash != self.name_hash {
            return Err(NotTaken::OtherFileSystem);
        }
        self.highest_term = self.highest_term.max(table.order().term);
        if published.stamp.boot_hash == self.boot_hash && published.stamp.received <= now {
            let body = file.get(tarazu_table::STAMP_BYTES..).unwrap_or(&[]).to_vec();
            self.held = Some(Held { body, ..Held::of(table, published.stamp.received) });
        }
        Ok(())
    }

    /// What is named to the controller: order and checksum of the table, and the highest term seen.
    pub(crate) fn report(&self) -> (Option<Order>, u32, u64) {
        let named = self.held.as_ref().filter(|_| !self.ask_whole);
        (named.map(|held| held.order), named.map_or(0, |held| held.checksum), self.highest_term)
    }

    pub(crate) fn order(&self) -> Option<Order> {
        self.held.as_ref().map(|held| held.order)
    }

    /// Milliseconds since the controller last stood by the table.
    pub(crate) fn age_ms(&self, now: Time) -> Option<u64> {
        self.held.as_ref().map(|held| now.0.saturating_sub(held.received.0) / MS_NS)
    }

    /// The interval of the controller's plans, where one is known.
    pub(crate) fn interval_ms(&self) -> Option<u32> {
        self.held.as_ref().map(|held| held.interval_ms)
    }

    /// Takes an answer to a request that left at `sent`, and says what is to be published, if anything. The age is
    /// counted from the sending, so that a slow answer makes a table older and never younger.
    pub(crate) fn take(&mut self, update: v1::TableUpdate, sent: Time) -> Result<Option<Vec<u8>>, NotTaken> {
        let named = update.order.ok_or(NotTaken::Empty)?;
        let named = Order { term: named.term, seq: named.seq };
        let received = Time(sent.0.saturating_sub(u64::from(update.age_ms).saturating_mul(MS_NS)));
        match update.update.ok_or(NotTaken::Empty)? {
            v1::table_update::Update::Confirmed(_) => self.confirm(named, update.checksum, received),
            v1::table_update::Update::Table(body) => self.replace(body, named, update.checksum, received),
            v1::table_update::Update::Delta(delta) => {
                let base = self.held.as_ref().filter(|_| !self.ask_whole);
                let body = base
                    .ok_or(NotTaken::DeltaFromNothing)
                    .and_then(|held| Ok(delta::apply(&held.body, &delta)?));
                let taken = body.and_then(|body| self.replace(body, named, update.checksum, received));
                // A replay of an older plan is no reason to distrust what is held.
                self.ask_whole |= matches!(&taken, Err(error) if !matches!(error, NotTaken::Older(_) | NotTaken::OlderTerm { .. }));
                taken
            }
        }
    }

    fn confirm(&mut self, named: Order, checksum: u32, received: Time) -> Result<Option<Vec<u8>>, NotTaken> {
        match &mut self.held {
            Some(held) if held.order == named && held.checksum == checksum => {
                // A late answer does not take back what a quicker one said.
                let moved = received > held.received;
                held.received = held.received.max(received);
                self.ask_whole = false;
                if moved { self.publishable() } else { Ok(None) }
            }
            held => {
                if let Some(held) = held {
                    accept(Some(held.order), named)?;
                }
                self.ask_whole = true;
                Err(NotTaken::ConfirmsAnother)
            }
        }
    }

    fn replace(
        &mut self,
        body: Vec<u8>,
        named: Order,
        checksum: u32,
        received: Time,
    ) -> Result<Option<Vec<u8>>, NotTaken> {
        let table = Table::verify(&body)?;
        if table.fs().name_hash != self.name_hash {
            return Err(NotTaken::OtherFileSystem);
        }
        if table.order() != named || table.checksum() != checksum {
            return Err(NotTaken::OtherTable { named, checksum });
        }
        if named.term < self.highest_term {
            return Err(NotTaken::OlderTerm { offered: named, highest_term: self.highest_term });
        }
        let arrival = accept(self.order(), named)?;
        if arrival == Arrival::Same {
            // The same plan has the same bytes; other ones are not believed.
            if self.held.as_ref().is_some_and(|held| held.checksum != checksum) {
                return Err(NotTaken::OtherTable { named, checksum });
            }
            return self.confirm(named, checksum, received);
        }
        let known = Held::of(&table, received);
        self.highest_term = named.term;
        self.held = Some(Held { body, ..known });
        self.ask_whole = false;
        self.publishable()
    }

    /// The bytes of the published file as it should be now; `None` where no table is held.
    pub(crate) fn publishable(&self) -> Result<Option<Vec<u8>>, NotTaken> {
        let Some(held) = &self.held else { return Ok(None) };
        let stamp = Stamp { boot_hash: self.boot_hash, received: held.received };
        Ok(Some(publish(&stamp, &held.body)?))
    }
}

impl Held {
    /// All but the bytes, which the table is a view into.
    fn of(table: &Table<'_>, received: Time) -> Self {
        // An interval of a verified table is at most 300,000 ms.
        let interval_ms = u32::try_from(table.interval().as_millis()).unwrap_or(u32::MAX);
        Self { body: Vec::new(), order: table.order(), checksum: table.checksum(), interval_ms, received }
    }
}
