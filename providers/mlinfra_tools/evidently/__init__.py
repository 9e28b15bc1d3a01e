"""The recipe for kind `monitor`: Evidently on a schedule, beside the endpoint that it watches."""
