/** How Keystone says no. */

const TITLES: Readonly<Record<number, string>> = {
  400: "Bad Request",
  401: "Unauthorized",
  404: "Not Found",
};

export class IdentityError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = "IdentityError";
    this.status = status;
  }

  get body(): object {
    return { error: { code: this.status, title: TITLES[this.status] ?? "Error", message: this.message } };
  }
}
