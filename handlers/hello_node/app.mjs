/*
 * Greets whoever calls, directly or through an HTTP API, and says where it ran: what handlers/hello does, for Node.
 *
 * Event: {"name": "Ada"}, or an HTTP API's event with `?name=Ada`.
 */

/** Return the words for somebody of that name. */
export const greeting = (name) => `Hello, ${name}!`;

export const handler = async (event, context) => {
  const isHttp = "requestContext" in event;
  const asked = isHttp ? (event.queryStringParameters ?? {}) : event;
  const answer = {
    greeting: greeting(asked.name ?? "world"),
    request_id: context.awsRequestId,
    log_stream: context.logStreamName,
    runtime: `nodejs${process.versions.node}`,
  };
  console.log(JSON.stringify({ level: "INFO", message: "greeted", request_id: context.awsRequestId }));
  if (!isHttp) return answer;
  return { statusCode: 200, headers: { "content-type": "application/json" }, body: JSON.stringify(answer) };
};
