// One event stream for the page's whole life, over as many connections as it takes.
//
// Gradio 6.31's server ends the stream when no event is left, with the message "close_stream"; its client opens another
// for the next event. An event that is sent just then is lost for good: its answer overtakes that last message, and the
// client waits on a stream that has ended. So the client never hears of the end here, and a connection is made when an
// event needs one.
(() => {
  const send = window.fetch;
  const pending = new Set(); // Ids of events that are answered and not completed.
  const early = new Set(); // Ids of events that are completed and not answered.
  let connect = () => {};

  window.fetch = (resource, options) => {
    const { pathname } = new URL(resource.url ?? resource, location.href);
    if (pathname.endsWith("/queue/join")) return join(resource, options);
    if (pathname.endsWith("/queue/data")) return open(resource);
    return send(resource, options);
  };

  // Gradio's client would tell of a lost connection in words of its own, and give up. connection.js does better.
  const broken = () => {
    dispatchEvent(new Event("studio:broken"));
    return new Promise(() => {});
  };

  const join = async (resource, options) => {
    const response = await send(resource, options).catch(() => null);
    if (response === null) return broken();
    if (response.ok) {
      const { event_id } = await response.clone().json();
      if (!early.delete(event_id)) pending.add(event_id);
      connect();
    }
    return response;
  };

  const open = async (request) => {
    const { readable, writable } = new TransformStream();
    const client = writable.getWriter();
    let connected = false;
    connect = async () => {
      if (connected) return;
      connected = true;
      try {
        while (pending.size) await pass(await send(request.clone()), client);
      } catch (error) {
        // The client ends its stream when the page is left.
        if (!request.signal.aborted) await broken();
        client.abort(error).catch(() => {});
      }
      connected = false;
    };
    connect();
    return new Response(readable, { headers: { "Content-Type": "text/event-stream" } });
  };

  // Gives the client one connection's messages. Throws unless the server ends it as it should.
  const pass = async (response, client) => {
    if (!response.ok) throw new Error(`The event stream was answered with ${response.status}.`);
    const encoder = new TextEncoder();
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let unread = "", closed = false; !closed; ) {
      const { value, done } = await reader.read();
      if (done) throw new Error("The event stream ended too early.");
      const messages = (unread + value).split("\n\n");
      unread = messages.pop();
      for (const message of messages) {
        const { msg, event_id } = JSON.parse(message.slice("data: ".length));
        if (msg === "process_completed" && !pending.delete(event_id)) early.add(event_id);
        closed = msg === "close_stream";
        if (!closed) await client.write(encoder.encode(`${message}\n\n`));
      }
    }
  };
})();
