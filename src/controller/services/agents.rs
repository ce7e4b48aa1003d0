//! Agents: one stream each.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tarazu_proto::limits::AGENT_MESSAGE_BYTES_MAX;
use tarazu_proto::v1::agent_message::Message;
use tarazu_proto::v1::agents_server::Agents;
use tarazu_proto::v1::{AgentMessage, AgentOrder, Register, Registered, agent_order};
use tarazu_proto::{Registration, register};
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::{invalid, stopping};
use crate::controller::command::{self, Command, ORDERS_MAX};
use crate::controller::sites::{Site, Sites};

/// Time that an agent has to say who it is.
const FIRST_MESSAGE_WITHIN: Duration = Duration::from_secs(5);

/// Time in which an agent must take an order.
const ORDER_WITHIN: Duration = Duration::from_secs(10);

/// A registration that is repeated takes so long.
const REGISTER_EVERY: Duration = Duration::from_millis(500);

/// A stream without a message for so many intervals is closed: its agent is gone or frozen, and comes back.
const SILENT_INTERVALS: u32 = 6;

/// The service.
pub(crate) struct AgentService {
    sites: Arc<Sites>,
}

impl AgentService {
    pub(crate) fn new(sites: Arc<Sites>) -> Self {
        Self { sites }
    }
}

/// One agent's stream.
struct Session {
    sites: Arc<Sites>,
    site: Site,
    messages: Streaming<AgentMessage>,
    orders: mpsc::Sender<AgentOrder>,
    /// What the actor sends through; the stream ends when it lets go.
    from_actor: mpsc::Receiver<AgentOrder>,
    entered: command::Registered,
    /// The server and the process that this stream is of.
    of: (String, u64),
}

#[tonic::async_trait]
impl Agents for AgentService {
    type ReportStream = Pin<Box<dyn Stream<Item = Result<AgentOrder, Status>> + Send>>;

    async fn report(
        &self,
        request: Request<Streaming<AgentMessage>>,
    ) -> Result<Response<Self::ReportStream>, Status> {
        let mut messages = request.into_inner();
        let first = tokio::time::timeout(FIRST_MESSAGE_WITHIN, messages.message()).await;
        let first =
            first.map_err(|_| Status::deadline_exceeded("the first message did not come in time"))??;
        let Some(AgentMessage { message: Some(Message::Register(message)) }) = first else {
            return Err(Status::invalid_argument("the first message must be Register"));
        };
        let registration = checked(&message, self.sites.get(&message.file_system).as_ref())?;
        let site = self.sites.get_or_start(&registration.file_system);
        let site = site.map_err(|error| Status::resource_exhausted(error.to_string()))?;
        let of = (registration.claim.server.clone(), registration.claim.instance);
        let (entered, from_actor) = enter(&site, registration).await?;
        let (orders, answers) = mpsc::channel(ORDERS_MAX);
        let session =
            Session { sites: Arc::clone(&self.sites), site, messages, orders, from_actor, entered, of };
        tokio::spawn(session.run());
        let answers = tokio_stream::StreamExt::map(ReceiverStream::new(answers), Ok);
        Ok(Response::new(Box::pin(answers)))
    }
}

/// Counted for the file system that it names, where there is one.
fn checked(message: &Register, site: Option<&Site>) -> Result<Registration, Status> {
    let refused = |error| {
        if let Some(site) = site {
            site.shared.counters.refuse("registration");
        }
        invalid(&error)
    };
    register(message).map_err(refused)
}

async fn enter(
    site: &Site,
    registration: Registration,
) -> Result<(command::Registered, mpsc::Receiver<AgentOrder>), Status> {
    let Registration { claim, can_canary, .. } = registration;
    let (orders, from_actor) = mpsc::channel(ORDERS_MAX);
    let answer = site.ask(|reply| Command::Register { claim, can_canary, orders, reply }).await;
    let entered = answer.map_err(stopping)?.map_err(|error| Status::already_exists(error.to_string()))?;
    Ok((entered, from_actor))
}

impl Session {
    async fn run(mut self) {
        let silence = self.sites.interval() * SILENT_INTERVALS;
        if !self.say_registered().await {
            return self.end().await;
        }
        loop {
            tokio::select! {
                message = tokio::time::timeout(silence, self.messages.message()) => match message {
                    Ok(Ok(Some(AgentMessage { message: Some(message) }))) => {
                        if !self.take(message).await {
                            break;
                        }
                    }
                    // An empty message is from a newer agent.
                    Ok(Ok(Some(_))) => {}
                    Ok(Ok(None) | Err(_)) | Err(_) => break,
                },
                order = self.from_actor.recv() => {
                    let Some(order) = order else { break };
                    let is_last = matches!(order.order, Some(agent_order::Order::Superseded(_)));
                    if !self.order(order).await || is_last {
                        break;
                    }
                }
            }
        }
        self.end().await;
    }

    async fn end(self) {
        let Self { site, entered: command::Registered { server, session, .. }, from_actor, .. } = self;
        // The actor sees that nobody reads its orders any more.
        drop(from_actor);
        let _ = site.send(Command::AgentGone { server, session }).await;
    }

    async fn say_registered(&self) -> bool {
        let interval_ms = u32::try_from(self.sites.interval().as_millis()).unwrap_or(u32::MAX);
        let registered = Registered {
            session: self.entered.session,
            interval_ms,
            message_bytes_max: AGENT_MESSAGE_BYTES_MAX as u32,
            contested_ost_indices: self.entered.contested.iter().map(|ost| ost.0).collect(),
        };
        let order = AgentOrder { order: Some(agent_order::Order::Registered(registered)) };
        self.order(order).await
    }

    /// Returns whether the agent takes orders: one that reads none for so long is gone.
    async fn order(&self, order: AgentOrder) -> bool {
        let sent = tokio::time::timeout(ORDER_WITHIN, self.orders.send(order)).await;
        matches!(sent, Ok(Ok(())))
    }

    /// Returns whether the stream goes on.
    async fn take(&mut self, message: Message) -> bool {
        let command::Registered { server, session, .. } = self.entered;
        match message {
            Message::Sample(sample) => {
                self.site.offer(Command::Sample { server, session, sample });
                true
            }
            Message::CanaryDone(done) => {
                self.site.send(Command::CanaryDone { server, session, done }).await.is_ok()
            }
            Message::Register(message) => self.register_again(&message).await,
        }
    }

    async fn register_again(&mut self, message: &Register) -> bool {
        let Ok(registration) = checked(message, Some(&self.site)) else { return false };
        let is_same = (&registration.claim.server, registration.claim.instance) == (&self.of.0, self.of.1);
        if registration.file_system != *self.site.name || !is_same {
            return false;
        }
        // What is registered is planned anew: whoever says it all the time must not keep plans from being made.
        tokio::time::sleep(REGISTER_EVERY).await;
        let Ok((entered, from_actor)) = enter(&self.site, registration).await else { return false };
        (self.entered, self.from_actor) = (entered, from_actor);
        self.say_registered().await
    }
}
