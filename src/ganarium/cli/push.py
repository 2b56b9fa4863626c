"""`ganarium push`: a run's model, sent to the Hugging Face Hub."""


def push(run: str, name: str, /, *, private: bool = False, raw: bool = False) -> int:
    """Send the model of a run to the Hugging Face Hub, with a model card; `ganarium.load("hf:owner/name")` reads it.

    Parameters
    ----------
    run
        The folder of a run or of one of its checkpoints, or a folder that `export --to hub` wrote.
    name
        owner/name on the Hub. It is made if there is none.
    private
        Make the model visible to you alone.
    raw
        Use the weights of the last step. Default: their running average, where the model keeps one.
    """
    from ganarium.api import push

    print(push(run, name, private=private, raw=raw))
    return 0
