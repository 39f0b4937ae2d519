// What can go wrong, as classes; README.md tells when.

export class WebwireError extends Error {
  name = 'WebwireError';
}
/** The server's program answered with an error: `code` and `message` are its words. */
export class RequestError extends WebwireError {
  name = 'RequestError';
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}
/** No connection: `execution` says whether the server may have got the request. */
export class Disconnected extends WebwireError {
  name = 'Disconnected';
  constructor(message, execution = 'not_sent', options = undefined) {
    super(message, options);
    this.execution = execution;
  }
}
export class InternalError extends WebwireError {
  name = 'InternalError';
}
export class ServerShutdown extends WebwireError {
  name = 'ServerShutdown';
}
export class SessionNotFound extends WebwireError {
  name = 'SessionNotFound';
}
export class MaxSessionConnectionsReached extends WebwireError {
  name = 'MaxSessionConnectionsReached';
}
export class SessionsDisabled extends WebwireError {
  name = 'SessionsDisabled';
}
export class IncompatibleVersion extends WebwireError {
  name = 'IncompatibleVersion';
}
export class SubprotocolMismatch extends WebwireError {
  name = 'SubprotocolMismatch';
}
export class BufferSizeMismatch extends WebwireError {
  name = 'BufferSizeMismatch';
}
export class UnexpectedFirstMessage extends WebwireError {
  name = 'UnexpectedFirstMessage';
}
export class DeadlineExceeded extends WebwireError {
  name = 'DeadlineExceeded';
}
export class ConnectionTimeout extends WebwireError {
  name = 'ConnectionTimeout';
}
export class BufferOverflow extends WebwireError {
  name = 'BufferOverflow';
}
export class UnsendableMessage extends WebwireError {
  name = 'UnsendableMessage';
}
export class InvalidMessage extends WebwireError {
  name = 'InvalidMessage';
}
export class InvalidState extends WebwireError {
  name = 'InvalidState';
}
